"""Features bar by bar: each session's rows from what was held before, equal to the batch."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.cores import usable_cores
from trading_assets.errors import DataError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.adjustment import Action, list_actions
from trading_assets.features.catalogue import feature_names, feature_of
from trading_assets.features.engine import Engine, build_engine
from trading_assets.features.held_symbol import Bar, HeldSymbol
from trading_assets.features.held_tables import HeldTables
from trading_assets.features.inputs import (
    MARKET_INPUTS,
    SymbolRows,
    own_inputs,
    prepare_symbols,
)
from trading_assets.features.known_series import Lines, list_lines
from trading_assets.features.market_inputs import Market
from trading_assets.features.scrambling import FeatureInputs
from trading_assets.features.series_memory import SeriesMemory
from trading_assets.features.windows import input_window, month_of
from trading_assets.schema import TABLES, conform

# A thread that falls behind leaves parts to the others.
_PARTS_A_THREAD = 4
_PRICES = ("open", "high", "low", "close", "volume")


class OnlineFeatures:
    """Features of one session after the other.

    What it holds are the bars, actions and series since the anchor of the month; everything else
    follows from them. `held` returns these tables and a new object of them goes on where this one
    stood, so that they are all there is to save.

    A new month has an anchor of its own and starts anew, with the first session of it or, ahead of
    time, by `prepare`; so does a session with a symbol that was not held.

    Parameters
    ----------
    bars, actions, series : DataFrame
        Tables validated_bars, corporate_actions and series, with the months of the lookback.
    spec : FeaturesSpec
        Which features, and the bars of the scaling window.
    next_session : date
        The session that will come next, whose month's anchor is used.
    sectors : mapping of str to str
        Sector by symbol, where one is declared.
    """

    def __init__(
        self,
        bars: pl.DataFrame,
        actions: pl.DataFrame,
        series: pl.DataFrame,
        spec: FeaturesSpec,
        next_session: date,
        sectors: Mapping[str, str] | None = None,
    ) -> None:
        self._spec = spec
        self._sectors = dict(sectors or {})
        names = feature_names(spec)
        self._engine: Engine = build_engine(names, spec.module)
        self._sources = sorted(
            {source for name in names for source in feature_of(name, spec.module).series}
        )
        self._n_threads = usable_cores()
        self._threads = ThreadPoolExecutor(self._n_threads)
        self._begin([bars], [actions], [series], next_session)

    def held(self) -> FeatureInputs:
        """Return the tables that the next session is computed from."""
        return FeatureInputs(
            pl.concat(self._bars), pl.concat(self._actions), pl.concat(self._series)
        )

    def prepare(self, next_session: date) -> None:
        """Start the month of a coming session if it is new, so that its bars need not wait."""
        if month_of(next_session) != self._month:
            self._begin(self._bars, self._actions, self._series, next_session)

    @property
    def names(self) -> tuple[str, ...]:
        """The volatility, then the features in column order."""
        return self._engine.names

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that are held, in order; a session with another one begins anew."""
        return tuple(self._held)

    def update(
        self, bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame
    ) -> pl.DataFrame:
        """Return table `features` of the session that `bars` hold.

        Parameters
        ----------
        bars : DataFrame
            Table validated_bars of one session, one row a symbol.
        actions : DataFrame
            Rows of corporate_actions that were not given before.
        series : DataFrame
            Rows of series that were not given before.

        Raises
        ------
        DataError
            If the bars are of no session or of several, of one that is not after those held, or
            name a symbol twice.
        """
        rows, values = self.advance(bars, actions, series)
        return tabulate(rows, self._engine.names, values)

    def advance(
        self, bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame
    ) -> tuple[pl.DataFrame, NDArray[np.float32]]:
        """Return the bars by symbol, and `names` (K, 1 + F) of each, nan where unknown.

        Takes what `update` takes, and refuses what it refuses.
        """
        session = _session_of(bars, self._last_session)
        rows = _by_symbol(bars)
        symbols: list[str] = rows["symbol"].to_list()
        if month_of(session) != self._month or not self._held.keys() >= set(symbols):
            self._begin(self._bars, self._actions, self._series, session, symbols)
        self._keep(rows, actions, series)
        returns: dict[str, float] = {}
        for symbol, bar in _bars_of(rows, session):
            held = self._held[symbol]
            inputs = held.receive(bar, self._entitled.get(symbol, ()), self._memory)
            self._tables.put(self._places[symbol], inputs, held.compute_given())
            returns[symbol] = inputs["log_return"]
        places = [self._places[symbol] for symbol in symbols]
        if self._market is not None:
            self._tables.put_around(places, self._market.advance(returns))
        each = -(-len(places) // (_PARTS_A_THREAD * self._n_threads))
        parts = [places[k : k + each] for k in range(0, len(places), each)]
        values = np.concatenate(self._advance(parts))
        self._last_session = session
        return rows, np.where(np.isfinite(values), values, np.float32(np.nan))

    def _advance(self, parts: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Advance parts of the symbols, here and on the threads that are free to help."""
        waiting = deque(enumerate(parts))
        found: dict[int, NDArray[np.float32]] = {}

        def work() -> None:
            while True:
                try:
                    number, part = waiting.popleft()
                except IndexError:
                    return
                found[number] = self._tables.advance(part)

        helpers = [self._threads.submit(work) for _ in range(self._n_threads - 1)]
        work()
        for helper in helpers:
            # On a busy machine one may not have begun when all is done.
            if not helper.cancel():
                helper.result()
        return [found[number] for number in range(len(parts))]

    def _begin(
        self,
        bars: Sequence[pl.DataFrame],
        actions: Sequence[pl.DataFrame],
        series: Sequence[pl.DataFrame],
        next_session: date,
        newcomers: Sequence[str] = (),
    ) -> None:
        first, _ = input_window(month_of(next_session))
        in_window = pl.col("session").is_between(first, next_session, closed="left")
        self._month = month_of(next_session)
        self._bars = [pl.concat(bars).filter(in_window)]
        self._actions = [pl.concat(actions)]
        self._series = [pl.concat(series).filter(pl.col("session") >= first)]
        self._entitled: dict[str, list[Action]] = list_actions(self._actions[0])
        self._memory = SeriesMemory(self._sources)
        self._memory.learn(self._series[0], first)
        symbols = {each.symbol: each for each in prepare_symbols(self._bars[0], self._entitled)}
        names = sorted({*symbols, *newcomers})
        self._places = {name: place for place, name in enumerate(names)}
        self._tables = HeldTables(self._engine, self._spec.scale_bars, len(names))
        self._market: Market | None = None
        if names and not MARKET_INPUTS.isdisjoint(self._engine.program.inputs):
            self._market = Market(
                list(symbols.values()),
                self._places,
                [self._sectors.get(name) for name in names],
                np.datetime64(self._month, "D"),
            )
        lines = list_lines(self._series[0], self._sources, first, date.max)
        self._held = {name: self._hold(symbols.get(name), name, lines) for name in names}
        self._last_session: date | None = max(self._bars[0]["session"].to_list(), default=None)

    def _hold(self, rows: SymbolRows | None, name: str, lines: Lines) -> HeldSymbol:
        held = HeldSymbol(self._engine, name, self._spec.module)
        if rows is None:
            return held
        inputs = own_inputs(rows, self._engine.program.inputs, lines)
        if self._market is not None:
            inputs |= self._market.inputs_of(name, rows.bars.sessions)
        self._tables.begin(self._places[name], inputs, held.begin(rows))
        return held

    def _keep(self, bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> None:
        self._bars.append(bars)
        if len(actions):
            self._actions.append(actions)
            self._entitled = list_actions(pl.concat(self._actions))
        if len(series):
            self._series.append(series)
            self._memory.learn(series, date.min)


def _by_symbol(bars: pl.DataFrame) -> pl.DataFrame:
    # A sort of polars waits for threads, which takes longer than a session's rows.
    symbols: list[str] = bars["symbol"].to_list()
    order = sorted(range(len(symbols)), key=symbols.__getitem__)
    return bars if order == list(range(len(order))) else bars[order]


def _bars_of(rows: pl.DataFrame, session: date) -> Iterator[tuple[str, Bar]]:
    known: list[int] = rows["knowledge_time"].to_numpy().astype(np.int64).tolist()
    columns = [rows[name].to_list() for name in _PRICES]
    for symbol, at, *prices in zip(rows["symbol"].to_list(), known, *columns, strict=True):
        yield symbol, Bar(session, at, *prices)


def _session_of(bars: pl.DataFrame, last: date | None) -> date:
    sessions = sorted(set(bars["session"].to_list()))
    if len(sessions) != 1:
        msg = (
            f"bars of {len(sessions)} sessions came at once; expected those of one: give one"
            " session after the other"
        )
        raise DataError(msg)
    if last is not None and sessions[0] <= last:
        msg = (
            f"bars of {sessions[0]} came after those of {last}; expected a later session: begin"
            " anew from the corrected bars"
        )
        raise DataError(msg)
    if len(set(bars["symbol"].to_list())) != len(bars):
        msg = f"bars of {sessions[0]} name a symbol twice; expected one bar a symbol"
        raise DataError(msg)
    return sessions[0]


def tabulate(rows: pl.DataFrame, names: Sequence[str], values: NDArray[np.float32]) -> pl.DataFrame:
    """Return the table `features` of a session's bars by symbol and of what `advance` returned."""
    columns = (
        pl.Series(name, column, nan_to_null=True)
        for name, column in zip(names, values.T.copy(), strict=True)
    )
    keys = (rows[name] for name in TABLES["features"].names)
    return conform("features", pl.DataFrame([*keys, *columns]))
