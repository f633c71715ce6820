"""Moves rows of a long history through a table that holds some of them only."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point
from trading_assets.features.compiled.machine import execute
from trading_assets.features.compiled.scaling import scale_column

Table = NDArray[np.float64]
Index = NDArray[np.int64]


@entry_point
def carry_rows(table: Table, kept: Index, block: int) -> None:
    """Move the rows that the next block reads to before its first one.

    Parameters
    ----------
    table : float64 (n_slots, kept.max() + block)
        The rows kept, then a block.
    kept : int64 (n_slots,)
        Rows of each slot to keep.
    block : int
        Rows of a block.
    """
    history = kept.max()
    for slot in range(len(kept)):
        for row in range(history - kept[slot], history):
            table[slot, row] = table[slot, row + block]


@entry_point
def collect_rows(
    table: Table,
    slots: Index,
    counts_from: Index,
    scale_bars: Index,
    fewest: int,
    ordered: Table,
    counts: Index,
    start: int,
    out: NDArray[np.float32],
) -> None:
    """Write rows of some columns, scaled where they are; nan where they do not count.

    Parameters
    ----------
    table : float64 (n_slots, T)
        Table of the machine.
    slots : int64 (F,)
        Columns to write.
    counts_from : int64 (F,)
        First row of each that counts.
    scale_bars : int64 (F,)
        Bars that each is scaled by, 0 where it is not.
    fewest : int
        Known values that make a scale.
    ordered, counts
        As in `scaling.scale_column`, of all columns (F, ...); written.
    start : int
        First row to write.
    out : float32 (F, R)
        Written.
    """
    for f in range(len(slots)):
        x = table[slots[f]]
        if scale_bars[f] > 0:
            sizes = np.array([scale_bars[f], min(fewest, scale_bars[f])])
            rows = np.array([counts_from[f], start, start + out.shape[1]])
            counts[f] = scale_column(x, ordered[f], counts[f], sizes, rows, out[f])
            continue
        unknown = min(max(counts_from[f] - start, 0), out.shape[1])
        out[f, :unknown] = np.nan
        out[f, unknown:] = x[start + unknown : start + out.shape[1]]


@entry_point
def advance_tables(
    instructions: Index,
    parameters: Table,
    tables: NDArray[np.float64],
    first: Index,
    rows: Index,
    places: Index,
    slots: Index,
    counts_from: Index,
    scale_bars: Index,
    fewest: int,
    ordered: NDArray[np.float64],
    counts: Index,
    out: NDArray[np.float32],
) -> None:
    """Compute and collect the next row of some tables.

    Parameters
    ----------
    instructions, parameters
        As in `machine.execute`.
    tables : float64 (N, n_slots, T)
        Tables of the machine; inputs are filled up to the row.
    first : int64 (N, n_slots)
        Row of each table from which each slot can be computed.
    rows : int64 (N,)
        The row of each table.
    places : int64 (K,)
        Tables to advance.
    slots, scale_bars, fewest
        As in `collect_rows`.
    counts_from, ordered, counts
        As in `collect_rows`, of each table (N, ...); windows are written.
    out : float32 (K, F, 1)
        Written.
    """
    for k in range(len(places)):
        n = int(places[k])
        row = int(rows[n])
        execute(instructions, parameters, tables[n], first[n], row, row + 1)
        collect_rows(
            tables[n],
            slots,
            counts_from[n],
            scale_bars,
            fewest,
            ordered[n],
            counts[n],
            row,
            out[k],
        )
