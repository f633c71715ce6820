"""Keys that stand for a user's own, and a search for them in all that was written."""

import base64
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import polars as pl

CANARIES = {
    "ALPACA_API_KEY": "PKCANARYQ7W3E9R1T5",
    "ALPACA_SECRET_KEY": "xCanaryZ8vB2nM4kJ6hG0fD1sA3pO5iU7yT9rE2w",
}


def canaries_in(folder: Path, texts: Mapping[str, str] | None = None) -> list[str]:
    """Return where a key stands, plain or encoded, in files below a folder or in named texts."""
    places = [*_contents(folder), *((name, text.encode()) for name, text in (texts or {}).items())]
    forms = {name: list(_forms(key)) for name, key in CANARIES.items()}
    return [
        f"{name} in {place}"
        for place, content in places
        for name, variants in forms.items()
        if any(variant in content for variant in variants)
    ]


def _forms(key: str) -> Iterator[bytes]:
    plain = key.encode()
    yield plain
    yield plain.hex().encode()
    yield key.encode("utf-16-le")
    for shift in range(3):
        # What base64 makes of the key's inner bytes wherever in a text it begins.
        encoded = base64.b64encode(bytes(shift) + plain)
        yield encoded[4 : len(encoded) - 4]
        yield base64.urlsafe_b64encode(bytes(shift) + plain)[4 : len(encoded) - 4]


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield str(path.relative_to(folder)), content
        if content.startswith(b"SQLite format 3"):
            # A text may be spread over pages of the file.
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                yield f"rows of {path.name}", "\n".join(database.iterdump()).encode()
        if path.suffix == ".parquet":
            # Pages are compressed.
            yield f"rows of {path.name}", str(pl.read_parquet(path).rows()).encode()
