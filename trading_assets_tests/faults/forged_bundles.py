"""Bundles whose hashes were made to fit again after a change: refused for what they hold."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from trading_assets.policy.bundle import MANIFEST_FILE
from trading_assets_tests.faults.hostile_files import hostile_files
from trading_assets_tests.faults.trained_bundles import Files

Json = dict[str, Any]
Tensors = dict[str, np.ndarray]

_MISSING = object()
WEIGHTS, CARD = "weights.safetensors", "card.json"
# What stands where a card says a number, a text or a list.
_WRONG_VALUES: tuple[Any, ...] = (None, "text", -1, 0.5, [], {}, [[]], True, 10**30, "../../x")
# Values above that a bundle could hold, and fields that an older one lacks: only the digest tells.
_POSSIBLE: dict[str, tuple[Any, ...]] = {
    "adaptation_rate": (0.5, 10**30),
    "algorithm": ("text",),
    "confidence_sizing": (_MISSING,),
    "declared": ({},),
    "dropped": ([],),
    "fractional_order": (None, 0.5),
    "history": ([],),
    "interval_alpha": (-1, 0.5, 10**30),
    "interval_coverage": (0.5,),
    "issued": ([],),
    "kind": (_MISSING,),
    "latency_bars": (_MISSING,),
    "lower": (-1,),
    "masked": ([],),
    "module": ("text", None, _MISSING),
    "n_parameters": (10**30,),
    "parts": ({},),
    "reason": ("text", "../../x"),
    "scale_bars": (_MISSING,),
    "set_alpha": (-1, 0.5, 10**30),
    "set_coverage": (0.5,),
    "upper": (0.5, 10**30),
    "window_bars": (_MISSING,),
}
_SLIPPED_NAMES = (
    "../evil.json",
    "/etc/evil.json",
    "policy/../../evil/card.json",
    "policy/ppo/seed-2/../../../evil.json",
    "policy/ppo/seed-2/notes.txt",
    "policy/ppo/seed-x/card.json",
    "policy/ppo/seed-99999999999999999999/card.json",
    "policy/ppo/card.json",
    "policy/card.json",
    "policy//seed-1/card.json",
    "policy/PPO\n/seed-1/card.json",
    "policy/" + "p" * 5_000 + "/seed-1/card.json",
    "forecaster/../card.json",
    "forecaster/model.pkl",
    "forecaster/more/card.json",
    "model.pkl",
    "bundle.json/card.json",
    "",
    "\x00",
)


@dataclass(frozen=True)
class Forged:
    """A bundle's files, the digest that its loader is told to expect, and what is wrong with it.

    Of one that is possible, nothing but the digest tells that it was changed.
    """

    name: str
    files: Files
    digest: str | None = None
    is_possible: bool = False


def forgeries(files: Files, foreign: Files, canary: Path) -> Iterator[Forged]:
    """Yield a bundle changed in ways that its own hashes agree with."""
    yield from _named_files(files)
    yield from _card_edits(files)
    yield from _weight_edits(files)
    for name in sorted(files):
        if name.endswith(WEIGHTS):
            for what, content in hostile_files(canary).items():
                yield Forged(f"{name} is {what}", resealed(files, {name: content}))
    swapped = {n: foreign[n] for n in files if n in foreign and n.startswith("policy/")}
    if swapped:
        yield Forged("policies of another bundle", resealed(files, swapped))
    first, last = _folders(files)[0], _folders(files)[-1]
    if first != last:
        changed = {f"{first}/{part}": files[f"{last}/{part}"] for part in (WEIGHTS, CARD)}
        yield Forged("one policy twice", resealed(files, changed))


def resealed(files: Files, changes: Files, removed: tuple[str, ...] = ()) -> Files:
    """Return files after changes, with every hash made to fit."""
    merged = {n: data for n, data in {**files, **changes}.items() if n not in removed}
    for name in [n for n in merged if n.endswith(CARD) and n not in changes]:
        weights = merged.get(name.replace(CARD, WEIGHTS))
        if weights is not None:
            card = json.loads(merged[name])
            card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
            merged[name] = _json(card)
    return with_manifest(merged, lambda manifest: None)


def with_manifest(files: Files, change: Callable[[Json], object]) -> Files:
    """Return files with a changed manifest, which has the hashes of all others."""
    manifest = json.loads(files[MANIFEST_FILE])
    others = {name: data for name, data in files.items() if name != MANIFEST_FILE}
    manifest["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in others.items()}
    change(manifest)
    return {**others, MANIFEST_FILE: _json(manifest)}


def _named_files(files: Files) -> Iterator[Forged]:
    for name in _SLIPPED_NAMES:
        shown = name[:40].encode("unicode_escape").decode()
        yield Forged(f"a file named {shown!r}", resealed(files, {name: b"{}"}))
    for name in sorted(set(files) - {MANIFEST_FILE}):
        if not name.endswith("conformal_state.json"):
            yield Forged(f"without {name}", resealed(files, {}, removed=(name,)))
    policies = tuple(name for name in files if name.startswith("policy/"))
    yield Forged("without any policy", resealed(files, {}, removed=policies))
    folder = _folders(files)[0]
    for renamed in ("policy/ppo/seed-77", "policy/ppo/seed-02", "policy/ppo/seed-+2"):
        moved = {name.replace(folder, renamed): files[name] for name in files if folder in name}
        gone = tuple(name for name in files if folder in name)
        yield Forged(f"{folder} moved to {renamed}", resealed(files, moved, removed=gone))


def _folders(files: Files) -> list[str]:
    return sorted({name.rpartition("/")[0] for name in files if name.startswith("policy/")})


def _card_edits(files: Files) -> Iterator[Forged]:
    for edit in _every_field(json.loads(files[MANIFEST_FILE]), ("files",)):
        changed = {**files, MANIFEST_FILE: _json(edit.card)}
        yield Forged(f"{MANIFEST_FILE}: {edit.what}", changed, is_possible=edit.is_possible)
    for value in (None, [], {"a": 1}, "x"):
        changed = with_manifest(files, lambda m, v=value: m.update(files=v))
        yield Forged(f"{MANIFEST_FILE}: files is {value!r}", changed)
    for version in (0, 3, 99, "1", 1.0, True, None):
        changed = with_manifest(files, lambda m, v=version: m.update(format=v))
        yield Forged(f"{MANIFEST_FILE}: format is {version!r}", changed)
    # Cards, and the state beside the forecaster's.
    others = sorted(n for n in files if n.endswith(".json") and n != MANIFEST_FILE)
    for path in others:
        for edit in _every_field(json.loads(files[path]), ("metrics", "declared", "parts")):
            changed = resealed(files, {path: _json(edit.card)})
            yield Forged(f"{path}: {edit.what}", changed, is_possible=edit.is_possible)


@dataclass(frozen=True)
class _Edit:
    what: str
    card: Json
    is_possible: bool = False


def _every_field(card: Json, whole: tuple[str, ...]) -> Iterator[_Edit]:
    """Yield a card without each of its fields, with one more, and with values of other kinds."""
    yield _Edit("one field more", {**card, "more": 1})
    for field, value in sorted(card.items()):
        possible = _POSSIBLE.get(field, ())
        without = {name: other for name, other in card.items() if name != field}
        yield _Edit(f"without {field}", without, _MISSING in possible)
        for wrong in _WRONG_VALUES:
            if _json({"": wrong}) != _json({"": value}):
                edited = {**card, field: wrong}
                yield _Edit(f"{field} is {str(wrong)[:20]!r}", edited, wrong in possible)
        if isinstance(value, dict) and field not in whole:
            for inner in _every_field(value, ()):
                edited = {**card, field: inner.card}
                yield _Edit(f"{field}.{inner.what}", edited, inner.is_possible)


def _weight_edits(files: Files) -> Iterator[Forged]:
    for path in sorted(name for name in files if name.endswith(WEIGHTS)):
        tensors = load(files[path])
        for name in sorted(tensors):
            for what, changed in _altered_tensor(tensors[name]).items():
                yield _with_tensors(files, path, f"{name} {what}", {**tensors, name: changed})
            others = {other: tensor for other, tensor in tensors.items() if other != name}
            yield _with_tensors(files, path, f"without {name}", others)
        yield _with_tensors(files, path, "one more", {**tensors, "more": np.zeros(2, np.float32)})
        yield _with_tensors(files, path, "none", {})


def _altered_tensor(tensor: np.ndarray) -> dict[str, np.ndarray]:
    broken = {}
    for value in (np.nan, np.inf, -np.inf):
        if tensor.size and tensor.dtype.kind == "f":
            broken[f"with {value}"] = tensor.copy()
            broken[f"with {value}"].flat[tensor.size // 2] = value
    return {
        **broken,
        "without a shape": np.array(0, tensor.dtype) if tensor.ndim else np.zeros(3, tensor.dtype),
        "of one more axis": tensor[None],
        "empty": np.zeros((*tensor.shape[:-1], 0) if tensor.ndim else (0,), tensor.dtype),
        "of whole numbers": np.zeros(tensor.shape, np.int16),
        "of halves": tensor.astype(np.float16),
        "of complex": tensor.astype(np.complex64),
    }


def _with_tensors(files: Files, path: str, what: str, tensors: Tensors) -> Forged:
    changes: dict[str, bytes] = {path: save(tensors)}
    card_path = path.replace(WEIGHTS, CARD)
    card = json.loads(files[card_path])
    card["weights_sha256"] = hashlib.sha256(changes[path]).hexdigest()
    if "shapes" in card:
        card["shapes"] = {name: list(tensor.shape) for name, tensor in sorted(tensors.items())}
    changes[card_path] = _json(card)
    return Forged(f"{path}: {what}", resealed(files, changes))


def _json(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
