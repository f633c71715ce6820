"""The columns of several symbols, of each the rows that a new one is computed from."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.compiled.machine import find_known
from trading_assets.features.compiled.streaming import advance_tables
from trading_assets.features.engine import NEVER, Collector, Engine, Values
from trading_assets.features.inputs import MARKET_INPUTS, is_series
from trading_assets.features.windows import SCALE_MIN_BARS

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Sessions of a month; with the next one tables begin anew.
_MOST_NEW_ROWS = 31


class HeldTables:
    """Tables of the machine side by side, so that one call advances many symbols.

    Parameters
    ----------
    engine : Engine
        What is computed.
    scale_bars : int
        Bars of the scaling window.
    symbols : int
        How many there are; they are known by their place from 0 on.
    """

    def __init__(self, engine: Engine, scale_bars: int, symbols: int) -> None:
        self._engine = engine
        self._bars_of_scale = scale_bars
        collector = Collector(engine, scale_bars)
        self._scale_bars = collector.scale_bars
        self._history = collector.history_rows
        shape = (symbols, engine.n_slots, self._history + _MOST_NEW_ROWS)
        self._tables = np.full(shape, np.nan)
        self._rows = np.zeros(symbols, dtype=np.int64)
        # A table's first row is this row of its symbol's.
        self._shift = np.zeros(symbols, dtype=np.int64)
        never = np.full(len(engine.program.inputs), NEVER)
        self._known = np.tile(never, (symbols, 1))
        first, counts_from = engine.known_from(never)
        self._first = np.tile(first, (symbols, 1))
        self._counts_from = np.tile(counts_from, (symbols, 1))
        self._ordered = np.tile(collector.ordered, (symbols, 1, 1))
        self._counts = np.tile(collector.counts, (symbols, 1))
        slots = dict(enumerate(engine.program.inputs))
        self._around = {slot: name for slot, name in slots.items() if name in MARKET_INPUTS}
        self._series = {slot: name for slot, name in slots.items() if is_series(name)}
        others = sorted(slots.keys() - self._around.keys() - self._series.keys())
        self._own = {slot: slots[slot] for slot in others}
        # Loads the machine code, so that the first row need not wait for it.
        self.advance([])

    def begin(self, place: int, inputs: Mapping[str, Array], given: Array | None) -> None:
        """Take a symbol's rows so far.

        Parameters
        ----------
        place : int
            Of the symbol.
        inputs : mapping of str to float64 (T,)
            All inputs of the engine's program.
        given : float64 (G, T), optional
            Features that the program does not compute.
        """
        program = self._engine.program
        rows = len(inputs[program.inputs[0]])
        table = np.empty((self._engine.n_slots, rows))
        for slot, name in enumerate(program.inputs):
            table[slot] = inputs[name]
        if given is not None:
            table[program.n_slots :] = given
        self._known[place] = find_known(table[: len(program.inputs)], rows, NEVER)
        first, counts_from = self._engine.known_from(self._known[place])
        self._engine.run(table, first, 0, rows)
        # Fills the scaling windows, so that the next row need not.
        collector = Collector(self._engine, self._bars_of_scale)
        collector.collect(table, counts_from, rows, rows)
        self._ordered[place], self._counts[place] = collector.ordered, collector.counts
        held = min(rows, self._history)
        self._tables[place, :, :held] = table[:, rows - held :]
        self._rows[place], self._shift[place] = held, rows - held
        self._begin_at(place)

    def put(self, place: int, inputs: Mapping[str, float], given: Array | None) -> None:
        """Give a symbol's next row all inputs but the market's, and the given features (G,)."""
        table, row = self._tables[place], self._rows[place]
        for slot, name in self._own.items():
            table[slot, row] = inputs[name]
        for slot, name in self._series.items():
            # A bar that was known earlier than the one before may know less.
            is_carried = row > 0 and math.isnan(inputs[name])
            table[slot, row] = table[slot, row - 1] if is_carried else inputs[name]
        if given is not None:
            table[self._engine.program.n_slots :, row] = given

    def put_around(self, places: Sequence[int], around: Mapping[str, Array]) -> None:
        """Give the symbols' next rows the market's inputs, (K,) in the order of the symbols."""
        at = np.array(places, dtype=np.int64)
        rows = self._rows[at]
        for slot, name in self._around.items():
            self._tables[at, slot, rows] = around[name]

    def advance(self, places: Sequence[int]) -> Values:
        """Return the features (K, 1 + F) of the next row of some symbols, nan where unknown."""
        numbers = np.array(places, dtype=np.int64)
        self._learn_first_rows(numbers)
        program = self._engine.program
        out = np.empty((len(places), len(self._engine.slots), 1), dtype=np.float32)
        advance_tables(
            program.instructions,
            program.parameters,
            self._tables,
            self._first,
            self._rows,
            numbers,
            self._engine.slots,
            self._counts_from,
            self._scale_bars,
            SCALE_MIN_BARS,
            self._ordered,
            self._counts,
            out,
        )
        self._rows[numbers] += 1
        return out[:, :, 0]

    def _learn_first_rows(self, places: Index) -> None:
        inputs = slice(len(self._engine.program.inputs))
        rows = self._rows[places]
        values = self._tables[places, inputs, rows]
        is_new = (self._known[places] == NEVER) & ~np.isnan(values)
        for k in np.flatnonzero(is_new.any(axis=1)):
            place = int(places[k])
            self._known[place, is_new[k]] = rows[k] + self._shift[place]
            self._begin_at(place)

    def _begin_at(self, place: int) -> None:
        # Rows that the table does not hold have negative numbers in it.
        first, counts_from = self._engine.known_from(self._known[place])
        self._first[place] = first - self._shift[place]
        self._counts_from[place] = counts_from - self._shift[place]
