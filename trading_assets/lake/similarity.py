"""Whether two stored partitions hold the same numbers, where their bytes differ by the platform."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from trading_assets.lake import names
from trading_assets.lake.files import decode_table, read_checked
from trading_assets.lake.reader import LakeReader
from trading_assets.lake.records import FileRef, PartitionRecord

TOLERANCE = 1e-5
_WEIGHTS, _DOCUMENT = ".safetensors", ".json"


def find_difference(
    lake: LakeReader,
    record: PartitionRecord,
    other: LakeReader,
    again: PartitionRecord,
    tolerance: float = TOLERANCE,
) -> str:
    """Return a clause on the first file that differs by more than a tolerance, or an empty one.

    Tables, JSON and weights are compared number by number, relative to the larger of 1 and the
    number; everything else, such as pages and pictures, has to be there.

    Parameters
    ----------
    lake, other : LakeReader
        Hold the two commits.
    record, again : PartitionRecord
        The commits.
    tolerance : float
        Largest difference that counts as none.
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
            is_far = _far(first, second, tolerance)
            if is_far.any():
                row = int(np.flatnonzero(is_far)[0])
                return f"column {name} of row {row}: {left[row]} against {right[row]}"
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
        if _far(array.astype(np.float64), other[name].astype(np.float64), tolerance).any():
            return f"array {name} differs"
    return ""


def _far(
    one: np.ndarray[Any, np.dtype[np.float64]],
    other: np.ndarray[Any, np.dtype[np.float64]],
    tolerance: float,
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    is_finite = np.isfinite(one) & np.isfinite(other)
    with np.errstate(invalid="ignore"):
        gap = np.abs(one - other)
    scale = np.maximum(1.0, np.abs(np.where(is_finite, one, 0.0)))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return ~(same | (is_finite & (gap <= tolerance * scale)))


def _values_differ(one: Any, other: Any, tolerance: float, place: str) -> str:  # noqa: ANN401
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
    elif isinstance(one, float | int) and isinstance(other, float | int):
        gap = abs(float(one) - float(other))
        is_near = gap <= tolerance * max(1.0, abs(float(one)))
        return "" if is_near else f"{place} was {one} against {other}"
    else:
        return "" if one == other or _is_text(one, other) else f"{place} was {one} against {other}"
    for at, left, right in pairs:
        found = _values_differ(left, right, tolerance, at)
        if found:
            return found
    return ""


def _is_text(one: Any, other: Any) -> bool:  # noqa: ANN401
    # Sentences round what the numbers beside them say, and digests name bytes.
    return isinstance(one, str) and isinstance(other, str)
