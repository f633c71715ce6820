"""World W1: one asset whose next return a declared signal predicts, made by a seeded generator.

Source: Garleanu and Pedersen, Dynamic Trading with Predictable Returns, J. Finance 68 (2013).
"""

from datetime import date, datetime

import numpy as np
import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stamps import stamp_bars, stamp_series
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES
from trading_assets.source_specs import WorldSource

SIGNAL = "signal"
_VOLUME_SHARES = 1_000_000.0


class WorldBars:
    """Bars of world W1 on the sessions from the data set's start, with the signal as a series.

    With e, u iid N(0, 1): ``f_0 = e_0``, ``f_t = phi f_{t-1} + sqrt(1 - phi^2) e_t``,
    ``r_t = beta f_{t-1} + sigma u_t``, ``beta = IC sigma``; the first return is ``sigma u_0``.
    A close is the close before times 1 + r_t, and the open is that close before. f_t is known at
    the close of t, as is the bar. The draws of a session do not depend on how many sessions follow,
    so history never changes when it grows.
    """

    def __init__(
        self, spec: MarketDataSpec, source: WorldSource, calendar: ExchangeCalendar
    ) -> None:
        if len(spec.universe) != 1:
            msg = (
                f"universe was {', '.join(spec.universe)}; expected exactly one symbol, because"
                " world W1 has one asset"
            )
            raise UserError(msg)
        self._spec = spec
        self._source = source
        self._calendar = calendar

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the world's bars and signal of `start` to `end`; none before the spec's start.

        Raises
        ------
        UserError
            If the volatility is so large that a price falls to zero.
        """
        sessions = self._calendar.sessions(self._spec.start, max(self._spec.start, end))
        open_, close, signal = _simulate(self._source, sessions)
        in_range = pl.col("session").is_between(start, end)
        identity = pl.DataFrame(
            {"symbol": [self._spec.universe[0]] * len(sessions), "session": sessions},
            schema={"symbol": pl.String, "session": pl.Date},
        )
        prices = identity.with_columns(
            pl.Series("open", open_),
            pl.Series("high", np.maximum(open_, close)),
            pl.Series("low", np.minimum(open_, close)),
            pl.Series("close", close),
            pl.lit(_VOLUME_SHARES).alias("volume"),
            pl.lit(None, dtype=pl.Float64).alias("vendor_adjusted_close"),
        ).filter(in_range)
        values = identity.with_columns(
            pl.lit(SIGNAL).alias("series"), pl.Series("value", signal)
        ).filter(in_range)
        return FetchedBars(
            stamp_bars(prices, self._spec, self._calendar, as_of),
            stamp_series(values, self._spec, self._calendar, as_of),
            TABLES["corporate_actions"].empty(),
        )


def _simulate(
    source: WorldSource, sessions: list[date]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_bars = len(sessions)
    # One row of draws a session: a longer history begins with the same numbers.
    draws = np.random.default_rng(source.seed).standard_normal((n_bars, 2))
    innovation = np.sqrt(1 - source.persistence**2)
    signal = np.empty(n_bars)
    value = 0.0
    for t in range(n_bars):
        value = draws[0, 0] if t == 0 else source.persistence * value + innovation * draws[t, 0]
        signal[t] = value
    beta = source.information_coefficient * source.volatility
    returns = source.volatility * draws[:, 1]
    returns[1:] += beta * signal[:-1]
    if n_bars and returns.min() <= -1:
        worst = int(returns.argmin())
        msg = (
            f"volatility {source.volatility} gives a return of {returns[worst]:.2f} on"
            f" {sessions[worst]}; expected returns above -1, so choose a smaller volatility"
        )
        raise UserError(msg)
    close = source.initial_price_usd * np.cumprod(1 + returns)
    open_ = np.concatenate(([source.initial_price_usd], close[:-1]))[:n_bars]
    return open_, close, signal
