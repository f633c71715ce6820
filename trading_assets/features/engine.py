"""Computes features of one symbol from its inputs: all rows, or on from the rows before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.catalogue import feature_of
from trading_assets.features.compiled.machine import execute, find_known
from trading_assets.features.compiled.streaming import carry_rows, collect_rows
from trading_assets.features.expressions import Column, walk
from trading_assets.features.groups.volatility import EWMA_VOLATILITY
from trading_assets.features.program import Program, build_program, first_rows
from trading_assets.features.windows import SCALE_MIN_BARS, VOLATILITY_COLUMN

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Values = NDArray[np.float32]


# The first known row of a column without one: behind any row there can be.
NEVER = 1 << 40
# As many rows of all columns as fit into a core's cache.
_BLOCK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class Engine:
    """A program for some features, and what to do with their unscaled values.

    Attributes
    ----------
    names : tuple of str
        `volatility_1d`, then the features in column order.
    program : Program
        Computes those that have an expression.
    slots : int64 (1 + F,)
        Where each stands in the table; features without an expression stand behind the program's.
    reach : int64 (1 + F,)
        Rows before a row that decide its unscaled value.
    waits_for : bool (1 + F, I)
        The inputs that each is computed from.
    input_reach : int64 (I,)
        Rows that each input itself looks back.
    is_scaled : bool (1 + F,)
        Which are given relative to their own recent past.
    given : tuple of str
        Features that the caller has to compute.
    """

    names: tuple[str, ...]
    program: Program
    slots: Index
    reach: Index
    waits_for: NDArray[np.bool_]
    input_reach: Index
    is_scaled: NDArray[np.bool_]
    given: tuple[str, ...]

    @property
    def n_slots(self) -> int:
        """Rows of the table."""
        return self.program.n_slots + len(self.given)

    def known_from(self, known: Index) -> tuple[Index, Index]:
        """Return the first row of each slot, and the first row at which each feature counts.

        Parameters
        ----------
        known : int64 (I,)
            First known row of the program's inputs, in its order; `NEVER` where there is none.
        """
        first = first_rows(self.program, known)
        late = np.maximum(known - self.input_reach, 0)
        return first, np.where(self.waits_for, late, 0).max(axis=1, initial=0) + self.reach

    def run(self, table: Array, first: Index, start: int, stop: int) -> None:
        """Compute rows `start` to `stop` of the table from its inputs."""
        program = self.program
        execute(program.instructions, program.parameters, table, first, start, stop)


class Collector:
    """Takes the features' rows out of a table, scaled where they are.

    The windows that they are scaled by are carried from call to call; calls have to follow each
    other without a hole.

    Parameters
    ----------
    engine : Engine
        Whose features.
    scale_bars : int
        Bars of the scaling window; 0 leaves everything unscaled.

    Attributes
    ----------
    scale_bars : int64 (1 + F,)
        Bars that each feature is scaled by, 0 where it is not.
    ordered : float64 (1 + F, scale_bars + 1)
        Known values of each window in order of size.
    counts : int64 (1 + F,)
        How many they are, -1 before the first call.
    kept : int64 (n_slots,)
        Rows of each slot before a new one that are read for it.
    """

    def __init__(self, engine: Engine, scale_bars: int) -> None:
        self._slots = engine.slots
        self.scale_bars = np.where(engine.is_scaled, scale_bars, 0)
        self.kept = np.concatenate((engine.program.kept, np.full(len(engine.given), 2)))
        np.maximum.at(self.kept, engine.slots, self.scale_bars + 1)
        self.ordered = np.empty((len(engine.names), scale_bars + 1))
        self.counts = np.full(len(engine.names), -1)

    @property
    def history_rows(self) -> int:
        """Rows of the table before a new one that are read for it."""
        return int(self.kept.max())

    def collect(self, table: Array, counts_from: Index, start: int, stop: int) -> Values:
        """Return rows `start` to `stop` (1 + F, stop - start), nan where unknown.

        Parameters
        ----------
        table : float64 (n_slots, T)
            Computed up to `stop`, with the rows that the first call's windows need.
        counts_from : int64 (1 + F,)
            First row at which each feature counts.
        start, stop : int
            Rows of the table.
        """
        out = np.empty((len(self._slots), stop - start), dtype=np.float32)
        collect_rows(
            table,
            self._slots,
            counts_from,
            self.scale_bars,
            SCALE_MIN_BARS,
            self.ordered,
            self.counts,
            start,
            out,
        )
        return out


def compute_rows(
    engine: Engine,
    inputs: Sequence[Array],
    scale_bars: int,
    asked_from: int,
    given: Array | None = None,
) -> Values:
    """Return the features (1 + F, T - asked_from) of the last rows of one symbol, nan if unknown.

    Memory beside the result does not grow with the rows.

    Parameters
    ----------
    engine : Engine
        What is computed.
    inputs : sequence of float64 (T,)
        Inputs of the engine's program, in its order.
    scale_bars : int
        Bars of the scaling window; 0 leaves everything unscaled.
    asked_from : int
        First row to return.
    given : float64 (G, T), optional
        Unscaled values of the features that the program does not compute.
    """
    program = engine.program
    columns = [np.ascontiguousarray(column)[None] for column in inputs]
    known = [find_known(column, len(inputs[0]), NEVER) for column in columns]
    first, counts_from = engine.known_from(np.concatenate(known))
    collector = Collector(engine, scale_bars)
    history, n_rows = collector.history_rows, len(inputs[0])
    table = np.empty((engine.n_slots, history + _BLOCK_ROWS))
    out = np.empty((len(engine.names), n_rows - asked_from), dtype=np.float32)
    for begin in range(0, n_rows, _BLOCK_ROWS):
        end = min(begin + _BLOCK_ROWS, n_rows)
        # A row of the table is `shift` rows behind the same row of the inputs.
        shift = history - begin
        carry_rows(table, collector.kept, _BLOCK_ROWS)
        for slot, column in enumerate(columns):
            table[slot, history : end + shift] = column[0, begin:end]
        if given is not None:
            table[program.n_slots :, history : end + shift] = given[:, begin:end]
        engine.run(table, first + shift, history, end + shift)
        start = max(asked_from, begin)
        if start < end:
            found = collector.collect(table, counts_from + shift, start + shift, end + shift)
            out[:, start - asked_from : end - asked_from] = found
    return out


@lru_cache(maxsize=16)
def build_engine(names: tuple[str, ...], module: str | None = None) -> Engine:
    """Return the engine of some features, of the catalogue or of a user's own module."""
    features = [feature_of(name, module) for name in names]
    expressions: dict[str, Column] = {VOLATILITY_COLUMN: EWMA_VOLATILITY}
    expressions |= {f.name: f.expression for f in features if f.expression is not None}
    program = build_program(expressions)
    places = dict(zip(expressions, program.outputs.tolist(), strict=True))
    given = tuple(f.name for f in features if f.expression is None)
    places |= {name: program.n_slots + place for place, name in enumerate(given)}
    names = (VOLATILITY_COLUMN, *(f.name for f in features))
    lookback = {f.name: f.lookback_bars for f in features}
    lookback[VOLATILITY_COLUMN] = EWMA_VOLATILITY.lookback_bars
    read_by = {name: expression.input_names() for name, expression in expressions.items()}
    inputs = _inputs(expressions)
    return Engine(
        names=names,
        program=program,
        slots=np.array([places[name] for name in names], dtype=np.int64),
        reach=np.array([lookback[name] - 1 for name in names], dtype=np.int64),
        waits_for=np.array(
            [[i in read_by.get(name, ()) for i in program.inputs] for name in names]
        ).reshape(len(names), len(program.inputs)),
        input_reach=np.array(
            [inputs[name].lookback_bars - 1 for name in program.inputs], dtype=np.int64
        ),
        is_scaled=np.array([False, *(f.is_scaled for f in features)]),
        given=given,
    )


def _inputs(expressions: Mapping[str, Column]) -> dict[str, Column]:
    return {c.name: c for c in walk(*expressions.values()) if c.operation is None}
