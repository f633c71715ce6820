"""What counts as the same numbers where bytes differ by the platform."""

import json

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save

from trading_assets.lake.records import PartitionWrite
from trading_assets.lake.similarity import find_difference
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import made_by, open_lake

FEATURES = "us_equities/features"
TABLE = {
    "close": [1.0, 100.0, None],
    "symbol": ["A", "B", "C"],
    "net_return": [1e-5, -0.02, 0.0],
    "cash_usd": [1e6, 3.0, 0.0],
    "reason": ["gains 0.10", "", ""],
}
DOCUMENT = {
    "weight": 0.5,
    "standing": "beats",
    "sentence": "it beats cash: 1.20 against 0.00",
    "better": ["cash"],
    "p": 9e-6,
    "bars": 1_000_000,
    "is_known": True,
    "missing": None,
    "sha256": "0" * 64,
    "declaration_digest": "0" * 64,
    "residual": 1e-13,
    "form_gap": 2e-6,
    "means": [1e-9, 3.0],
}
WEIGHTS = [0.5, 1e-9]


def stored(root, *, weights=WEIGHTS, **content) -> tuple[Lake, object]:
    lake = open_lake(root)
    frame = pl.DataFrame({name: content.get(name, own) for name, own in TABLE.items()})
    document = {name: content.get(name, own) for name, own in DOCUMENT.items()}
    blobs = {
        "card.json": json.dumps(document).encode(),
        "weights.safetensors": save({"w": np.array(weights, np.float32)}),
        "page.html": str(document["sentence"]).encode(),
    }
    lake.commit(
        [PartitionWrite(FEATURES, "features", "2000-01-01", {"rows": frame}, blobs)], made_by()
    )
    return lake, lake.record(FEATURES, "2000-01-01")


SAME = [
    {},
    {"close": [1.0 + 5e-6, 100.0 + 5e-4, None], "weight": 0.5 + 2e-6},
    {"sentence": "it beats cash: 1.19 against 0.00", "reason": ["gains 0.11", "", ""]},
    {"sha256": "f" * 64},
    # What is left of a million dollars, of terms of a root, of a mean that was taken off.
    {"cash_usd": [1e6, 3.05, 0.05]},
    {"residual": -1e-12},
    {"means": [-2e-8, 3.0]},
    {"weights": [0.5, -1e-9]},
    {"form_gap": 6e-6},
    {"net_return": [1e-5, -0.02, 1e-9]},
]
DIFFERENT = [
    ({"close": [1.0 + 5e-5, 100.0, None]}, "file rows.parquet: column close of row 0"),
    ({"close": [1.0, 100.0, 2.0]}, "file rows.parquet: column close of row 2"),
    ({"net_return": [1.1e-5, -0.02, 0.0]}, "file rows.parquet: column net_return of row 0"),
    ({"net_return": [1e-5, -0.020_001, 0.0]}, "file rows.parquet: column net_return of row 1"),
    ({"cash_usd": [1e6, 3.2, 0.0]}, "file rows.parquet: column cash_usd of row 1"),
    ({"symbol": ["A", "B", "D"]}, "file rows.parquet: column symbol differs"),
    ({"weight": 0.6}, "file card.json: weight was 0.5 against 0.6"),
    ({"weight": None}, "file card.json: weight was 0.5 against None"),
    ({"missing": 0.0}, "file card.json: missing was None against 0.0"),
    ({"better": ["cash", "y"]}, "file card.json: better has 1 entries against 2"),
    ({"better": ["momentum"]}, "file card.json: better[0] was cash against momentum"),
    ({"standing": "behind"}, "file card.json: standing was beats against behind"),
    ({"p": -9e-7}, "file card.json: p was 9e-06 against -9e-07"),
    ({"bars": 1_000_001}, "file card.json: bars was 1000000 against 1000001"),
    ({"is_known": 1}, "file card.json: is_known was True against 1"),
    ({"is_known": False}, "file card.json: is_known was True against False"),
    ({"declaration_digest": "f" * 64}, "file card.json: declaration_digest was 0000"),
    ({"sha256": "none"}, "file card.json: sha256 was 0000"),
    ({"form_gap": 1e-3}, "file card.json: form_gap was 2e-06 against 0.001"),
    ({"means": [1e-6, 3.0]}, "file card.json: means[0] was 1e-09 against 1e-06"),
    ({"weights": [0.5, 1e-6]}, "file weights.safetensors: array w differs"),
]


@pytest.mark.parametrize("content", SAME)
def test_what_rounding_explains_is_the_same(tmp_path, content):
    one, record = stored(tmp_path / "one")
    other, again = stored(tmp_path / "other", **content)
    assert find_difference(one, record, other, again) == ""


@pytest.mark.parametrize(("content", "expected"), DIFFERENT)
def test_what_rounding_does_not_explain_is_named(tmp_path, content, expected):
    one, record = stored(tmp_path / "one")
    other, again = stored(tmp_path / "other", **content)
    assert find_difference(one, record, other, again).startswith(expected)


def test_a_table_of_other_rows_is_named(tmp_path):
    one, record = stored(tmp_path / "one")
    short = {name: own[:1] for name, own in TABLE.items()}
    other, again = stored(tmp_path / "other", **short)
    assert find_difference(one, record, other, again).startswith("file rows.parquet: 3 rows")
