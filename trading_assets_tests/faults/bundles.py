"""Altered model bundles: every one is refused in one sentence, and none of them runs anything."""

import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trading_assets.errors import DataError
from trading_assets.policy.loaded_bundle import load_bundle
from trading_assets_tests.faults.forged_bundles import Forged, forgeries
from trading_assets_tests.faults.hostile_files import hostile_files
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.faults.trained_bundles import Files, digest_of, trained_bundles

_REMEDIES = ("train", "restore", "forecast again")
_LONGEST_SENTENCE = 900
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Times:
    """How often each file of a bundle is altered, besides by each hostile content."""

    bit_flips: int
    truncations: int


def sweep_bundles(root: Path, times: Times, seed: int, step: int = 1) -> Tally:
    """Load altered bundles, one after the other.

    Bytes are altered under the digest that the champion's record names. Forgeries, whose hashes
    were made to fit again, are loaded with the record's digest and, since whoever forges a bundle
    may forge the record too, without.

    Parameters
    ----------
    root : Path
        Where a payload would leave its canary.
    times : Times
        How often each file is altered.
    seed : int
        Of the alterations.
    step : int
        1 tries every alteration, n every n-th.
    """
    root.mkdir(parents=True, exist_ok=True)
    canary = root / "canary"
    tally = Tally()
    bundles = trained_bundles()
    with _unpickled() as unpickled:
        for place, forged in enumerate(_alterations(bundles, times, random.Random(seed), canary)):
            if place % step == 0:
                problems = [*_accepted(forged), *_harm(canary, unpickled)]
                tally.add(forged.name, problems)
        for name, files in bundles.items():
            tally.add(f"{name} as it was", _refused(files))
            # What was left alone is no fault, only the proof that the others are.
            tally.tried -= 1
    return tally


def _alterations(
    bundles: Mapping[str, Files], times: Times, generator: random.Random, canary: Path
) -> Iterator[Forged]:
    for label, files in bundles.items():
        foreign = next(own for other, own in bundles.items() if other != label)
        digest = digest_of(files)
        for name in sorted(files):
            contents = {
                **dict(_altered_bytes(files, name, times, generator)),
                **hostile_files(canary),
                "of another bundle": foreign.get(name, b""),
            }
            for what, content in contents.items():
                if content != files[name]:
                    altered = {**files, name: content}
                    yield Forged(f"{label}: {name}: {what}", altered, digest)
            removed = {other: data for other, data in files.items() if other != name}
            yield Forged(f"{label}: {name}: removed", removed, digest)
        for forged in forgeries(files, foreign, canary):
            if not forged.is_possible:
                yield Forged(f"{label}: {forged.name}, forged", forged.files)
            yield Forged(f"{label}: {forged.name}, under the digest", forged.files, digest)


def _altered_bytes(
    files: Files, name: str, times: Times, generator: random.Random
) -> Iterator[tuple[str, bytes]]:
    intact = files[name]
    size = len(intact)
    for offset in generator.sample(range(8 * size), min(times.bit_flips, 8 * size)):
        flipped = bytearray(intact)
        flipped[offset // 8] ^= 1 << offset % 8
        yield f"bit {offset} flipped", bytes(flipped)
    for length in sorted({size * i // times.truncations for i in range(times.truncations)}):
        yield f"cut to {length} bytes", intact[:length]
    yield "8 bytes appended", intact + bytes(8)
    other = generator.choice(sorted(set(files) - {name}))
    yield f"swapped with {other}", files[other]


def _accepted(forged: Forged) -> Iterator[str]:
    """Yield what is wrong with how a bundle was refused, if it was."""
    started = time.monotonic()
    try:
        load_bundle(forged.files, forged.digest)
    except DataError as error:
        yield from _complaints(str(error))
    # Whatever else a loader lets through is a fault of it.
    except (Exception, MemoryError) as error:  # noqa: BLE001
        yield f"crashed with {type(error).__name__}: {str(error)[:200]}"
    else:
        yield "was accepted"
    if time.monotonic() - started > _PATIENCE_S:
        yield f"took more than {_PATIENCE_S:g} s"


def _complaints(sentence: str) -> Iterator[str]:
    if not sentence.isprintable():
        yield f"is refused in more than printable text: {sentence[:200]!r}"
    if len(sentence) > _LONGEST_SENTENCE:
        yield f"is refused in {len(sentence)} characters: {sentence[:200]}"
    if not any(word in sentence for word in _REMEDIES):
        yield f"is refused without remedy: {sentence[:300]}"


def _harm(canary: Path, unpickled: list[str]) -> Iterator[str]:
    if canary.exists():
        canary.unlink()
        yield "ran the payload"
    if unpickled:
        yield f"unpickled {', '.join(unpickled)}"
        unpickled.clear()


def _refused(files: Files) -> Iterator[str]:
    try:
        load_bundle(files, digest_of(files))
    except DataError as error:
        yield f"is refused: {error}"


_listeners: list[list[str]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class":
        for heard in _listeners:
            heard.append(".".join(str(part) for part in arguments))


@contextmanager
def _unpickled() -> Iterator[list[str]]:
    """Collect the names that any unpickling in this process asks for."""
    if not getattr(sys, "_hears_unpickling", False):
        # An audit hook cannot be taken away again.
        sys.addaudithook(_hear)
        sys._hears_unpickling = True
    heard: list[str] = []
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners.remove(heard)
