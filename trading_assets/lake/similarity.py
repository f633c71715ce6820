"""Whether two stored partitions hold the same numbers, where their bytes differ by the platform."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from trading_assets.lake import names
from trading_assets.lake.files import decode_table, read_checked
from trading_assets.lake.reader import LakeReader
from trading_assets.lake.records import FileRef, PartitionRecord

TOLERANCE = 1e-5
# Below what a session's return, of some 1e-4, is known to; roots and residuals that are 0 but for
# rounding lie far below it.
FLOOR = 1e-8
# Of the largest number of an array or of a column of dollars: what is left of large sums, such as
# cash beside positions of float32 weights, is exact to the sums and not to itself.
CANCELLING = 1e-7
_DOLLARS = "_usd"
# Sentences for a person round the numbers beside them.
SENTENCES = frozenset({"sentence", "sentences", "reason", "reasons"})
# These are a measure of rounding itself.
ROUNDING = frozenset({"completeness_error", "form_gap"})
# It is of what was declared, which no platform changes; all other digests name bytes.
_DECLARED = "declaration_digest"
_DIGEST = re.compile("[0-9a-f]{64}")
_WEIGHTS, _DOCUMENT = ".safetensors", ".json"


def find_difference(
    lake: LakeReader,
    record: PartitionRecord,
    other: LakeReader,
    again: PartitionRecord,
    tolerance: float = TOLERANCE,
) -> str:
    """Return a clause on the first file that differs by more than a tolerance, or an empty one.

    Tables, JSON and weights are compared number by number, relative to the number and with the
    absolute floors `FLOOR` and `CANCELLING`. Counts, names and all other text have to be the same
    but for `SENTENCES` and digests of bytes; pages and pictures have to be there.

    Parameters
    ----------
    lake, other : LakeReader
        Hold the two commits.
    record, again : PartitionRecord
        The commits.
    tolerance : float
        Largest relative difference that counts as none.
    """
    before, after = ({file.name: file for file in own.files} for own in (record, again))
    if before.keys() != after.keys():
        only = sorted(before.keys() ^ after.keys())
        return f"file {only[0]} is in one of the two alone"
    for name, file in before.items():
        contents = [
            read_checked(reader.root, own, commit.label)
            for reader, own, commit in ((lake, file, record), (other, after[name], again))
        ]
        if contents[0] == contents[1]:
            continue
        found = _differ(file, contents[0], contents[1], tolerance)
        if found:
            return f"file {name}: {found}"
    return ""


def _differ(file: FileRef, one: bytes, other: bytes, tolerance: float) -> str:
    if file.name.endswith(names.TABLE_SUFFIX):
        return _tables_differ(decode_table(one), decode_table(other), tolerance)
    if file.name.endswith(_DOCUMENT):
        return _values_differ(json.loads(one), json.loads(other), tolerance, "")
    if file.name.endswith(_WEIGHTS):
        from safetensors.numpy import load

        return _arrays_differ(load(one), load(other), tolerance)
    return ""


def _tables_differ(one: pl.DataFrame, other: pl.DataFrame, tolerance: float) -> str:
    if one.schema != other.schema or len(one) != len(other):
        return f"{len(one)} rows of {one.columns} against {len(other)} of {other.columns}"
    for name in one.columns:
        left, right = one[name], other[name]
        if left.dtype.is_float():
            # Null is nan here: both say that there is no number.
            first, second = (
                s.cast(pl.Float64).fill_null(math.nan).to_numpy() for s in (left, right)
            )
            floor = _floor(first) if name.endswith(_DOLLARS) else FLOOR
            is_far = _far(first, second, tolerance, floor)
            if is_far.any():
                row = int(np.flatnonzero(is_far)[0])
                return f"column {name} of row {row}: {left[row]} against {right[row]}"
        elif name in SENTENCES:
            continue
        elif not left.equals(right, null_equal=True):
            return f"column {name} differs"
    return ""


def _arrays_differ(
    one: Mapping[str, np.ndarray[Any, Any]],
    other: Mapping[str, np.ndarray[Any, Any]],
    tolerance: float,
) -> str:
    if one.keys() != other.keys():
        return f"arrays {sorted(one)} against {sorted(other)}"
    for name, array in one.items():
        if array.shape != other[name].shape:
            return f"array {name} of shape {array.shape} against {other[name].shape}"
        first, second = array.astype(np.float64), other[name].astype(np.float64)
        if _far(first, second, tolerance, _floor(first)).any():
            return f"array {name} differs"
    return ""


def _floor(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return max(FLOOR, CANCELLING * float(finite.max(initial=0.0)))


def _far(
    one: np.ndarray[Any, np.dtype[np.float64]],
    other: np.ndarray[Any, np.dtype[np.float64]],
    tolerance: float,
    floor: float,
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    is_finite = np.isfinite(one) & np.isfinite(other)
    with np.errstate(invalid="ignore"):
        gap = np.abs(one - other)
    allowed = np.maximum(floor, tolerance * np.abs(np.where(is_finite, one, 0.0)))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return ~(same | (is_finite & (gap <= allowed)))


def _values_differ(
    one: Any,  # noqa: ANN401
    other: Any,  # noqa: ANN401
    tolerance: float,
    place: str,
    floor: float = FLOOR,
) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        if left.keys() != right.keys():
            return f"{place or 'the document'} has other names"
        pairs = [(f"{place}.{key}".lstrip("."), value, right[key]) for key, value in left.items()]
    elif isinstance(one, list) and isinstance(other, list):
        first, second = cast("Sequence[Any]", one), cast("Sequence[Any]", other)
        if len(first) != len(second):
            return f"{place} has {len(first)} entries against {len(second)}"
        both = zip(first, second, strict=True)
        pairs = [(f"{place}[{i}]", left, right) for i, (left, right) in enumerate(both)]
        floor = _floor(np.array([v for v in first if isinstance(v, float)], dtype=np.float64))
    else:
        is_same = _is_same(one, other, tolerance, place, floor)
        return "" if is_same else f"{place} was {one} against {other}"
    for at, left, right in pairs:
        found = _values_differ(left, right, tolerance, at, floor if at.endswith("]") else FLOOR)
        if found:
            return found
    return ""


def _is_same(one: Any, other: Any, tolerance: float, place: str, floor: float) -> bool:  # noqa: ANN401
    key = place.rsplit(".", 1)[-1].split("[", 1)[0]
    if isinstance(one, str) and isinstance(other, str):
        is_digest = key != _DECLARED and all(map(_DIGEST.fullmatch, (one, other)))
        return one == other or key in SENTENCES or is_digest
    if _is_number(one) and _is_number(other) and float in {type(one), type(other)}:
        floor = tolerance if key in ROUNDING else floor
        left, right = (np.array([float(value)]) for value in (one, other))
        return not _far(left, right, tolerance, floor).any()
    return type(one) is type(other) and one == other


def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, float | int) and not isinstance(value, bool)
