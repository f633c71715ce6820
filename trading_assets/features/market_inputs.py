"""The market's columns beside each symbol's bars: of a whole window, or session by session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.inputs import SymbolRows
from trading_assets.features.market_state import MarketColumns, MarketState
from trading_assets.features.regime_filter import RegimeFilter
from trading_assets.features.regimes import fit_month, observe_market

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Days = NDArray[np.datetime64]

_CALM, _STRESSED = 0, -1


@dataclass(frozen=True, slots=True)
class _Rows:
    """Columns of some sessions (T,); `regimes` (T, 3)."""

    columns: MarketColumns
    regimes: Array

    def inputs_at(self, rows: Index, place: int | Index) -> dict[str, Array]:
        return {
            "market_return": self.columns.market_return[rows],
            "sector_return": self.columns.sector_return[rows, place],
            "mean_correlation": self.columns.mean_correlation[rows],
            "first_component_share": self.columns.first_component_share[rows],
            "regime_calm": self.regimes[rows, _CALM],
            "regime_stressed": self.regimes[rows, _STRESSED],
        }


class Market:
    """The market of some symbols over a window that ends in a month.

    The regime model is fitted on the sessions before the month; only the month's sessions get
    regimes.

    Parameters
    ----------
    symbols : sequence of SymbolRows
        All that have bars in the window.
    places : mapping of str to int
        The place of each symbol, 0 to N - 1; of symbols without bars so far too.
    sectors : sequence of str or None
        Of the symbols by place.
    month_first_day : datetime64[D]
        First day of the month.
    """

    def __init__(
        self,
        symbols: Sequence[SymbolRows],
        places: Mapping[str, int],
        sectors: Sequence[str | None],
        month_first_day: np.datetime64,
    ) -> None:
        self._places = places
        self._sessions = _sessions_of(symbols)
        returns = np.full((len(self._sessions), len(places)), np.nan)
        for symbol in symbols:
            rows = np.searchsorted(self._sessions, symbol.bars.sessions)
            returns[rows, places[symbol.symbol]] = symbol.bars.log_return
        self._state = MarketState(sectors)
        columns = self._state.advance(returns)
        first_row = int(np.searchsorted(self._sessions, month_first_day))
        self._returns = columns.market_return
        observed = observe_market(self._returns)
        model, fitted = fit_month(observed, first_row)
        self._filter = None if model is None else RegimeFilter(model)
        regimes = np.full((len(self._sessions), 3), np.nan)
        for row in range(fitted, len(self._sessions)):
            if self._filter is not None:
                found = self._filter.advance(observed[row])
                regimes[row] = found if row >= first_row else np.nan
        self._rows = _Rows(columns, regimes)

    def inputs_of(self, symbol: str, sessions: Days) -> dict[str, Array]:
        """Return the columns at the sessions of a symbol, float64 each."""
        rows = np.searchsorted(self._sessions, sessions)
        return self._rows.inputs_at(rows, self._places[symbol])

    def advance(self, returns: Mapping[str, float]) -> dict[str, Array]:
        """Return the columns of one more session from the log returns of its bars.

        The session has to be of the month. Columns are (K,), in the order of the symbols given.
        """
        row = np.full((1, len(self._places)), np.nan)
        for symbol, value in returns.items():
            row[0, self._places[symbol]] = value
        columns = self._state.advance(row)
        self._returns = np.append(self._returns, columns.market_return)
        regimes = np.full((1, 3), np.nan)
        if self._filter is not None:
            regimes[0] = self._filter.advance(observe_market(self._returns)[-1])
        places = np.array([self._places[symbol] for symbol in returns], dtype=np.int64)
        return _Rows(columns, regimes).inputs_at(np.zeros_like(places), places)


def _sessions_of(symbols: Sequence[SymbolRows]) -> Days:
    if not symbols:
        return np.empty(0, dtype="datetime64[D]")
    return np.unique(np.concatenate([symbol.bars.sessions for symbol in symbols]))
