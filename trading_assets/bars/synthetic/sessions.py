"""A synthetic symbol from session to session: regimes, levels and what actions make of them.

Everything follows from draws of the symbol, the market and the days since the data set's start, so
a longer history begins with the same numbers.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from trading_assets.bars.synthetic.draws import DayDraw, Floats, LifeDraw, SymbolDraws, normals
from trading_assets.bars.synthetic.life import (
    Action,
    Lifetime,
    apply_actions,
    draw_lifetime,
    plan_actions,
)
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import SyntheticSource

MIN_PRICE_USD = 1e-6

_SESSIONS_A_YEAR = {"24/7": 365.0, "24/5": 261.0, "XNYS": 252.0}
# Share of a session's variance that falls before its open, where the market closes overnight.
_OVERNIGHT_SHARE = {"24/7": 0.0, "24/5": 0.05, "XNYS": 0.2}
_MEDIAN_PRICE_USD, _PRICE_SPREAD = 60.0, 0.6
_MEDIAN_TURNOVER_USD, _TURNOVER_SPREAD = 5e7, 1.0
_DAILY_TURNOVER_SPREAD = 0.35
_TURBULENT_TURNOVER = 1.5
# The market's own draws: no symbol is spelt so.
_MARKET = "*"


@dataclass(frozen=True, slots=True)
class MarketPath:
    """What all symbols share, one value a session.

    Attributes
    ----------
    sigma : array
        Standard deviation of a session's logarithmic return, from close to close.
    turbulent : array of bool
        Regime of the session.
    days : array, shape (n_sessions, len(DayDraw))
        The market's draws.
    """

    sessions: list[date]
    sigma: Floats
    turbulent: npt.NDArray[np.bool_]
    days: Floats


@dataclass(frozen=True, slots=True)
class SessionPath:
    """A symbol's sessions from the data set's start; arrays have one value a session.

    Attributes
    ----------
    log_open, log_close : array
        Logarithm of the total-return level, 0 at the first open.
    sigma : array
        Standard deviation of the logarithmic return from open to close.
    scale, offset_usd : array
        A price is ``scale * exp(log level) - offset_usd``.
    volume : array
        Shares traded in the session, not rounded.
    days : array, shape (n_sessions, len(DayDraw))
        The symbol's draws.
    """

    sessions: list[date]
    lifetime: Lifetime
    actions: list[Action]
    log_open: Floats
    log_close: Floats
    sigma: Floats
    scale: Floats
    offset_usd: Floats
    volume: Floats
    days: Floats

    def alive(self, start: date, end: date) -> slice:
        """Return the places of the sessions from `start` to `end` in which the symbol trades."""
        first = max(start, self.lifetime.first)
        last = end if self.lifetime.last is None else min(end, self.lifetime.last)
        return slice(bisect_left(self.sessions, first), bisect_right(self.sessions, last))


def sessions_a_year(spec: MarketDataSpec) -> float:
    """Return about how many sessions the data set's calendar has in a year."""
    return _SESSIONS_A_YEAR[spec.calendar]


def simulate_market(
    spec: MarketDataSpec, source: SyntheticSource, sessions: Sequence[date]
) -> MarketPath:
    """Return the regimes of `sessions`, the data set's first ones: a Markov chain of two states."""
    draws = SymbolDraws(source.seed, _MARKET)
    days = draws.of_days(sessions)
    share = source.turbulent_share
    # Means of the two lengths that give the declared share and the declared mean length.
    leave_calm = min(1.0, 1 / (2 * source.regime_bars * (1 - share)))
    leave_turbulent = min(1.0, 1 / (2 * source.regime_bars * share))
    state = bool(draws.of_life()[LifeDraw.FIRST_REGIME] < share)
    states: list[bool] = []
    for draw in days[:, DayDraw.REGIME].tolist():
        states.append(state)
        state = state != (draw < (leave_turbulent if state else leave_calm))
    turbulent = np.array(states, dtype=bool)
    calm_sigma = source.annual_volatility / np.sqrt(sessions_a_year(spec))
    sigma = calm_sigma * np.where(turbulent, source.turbulent_multiple, 1.0)
    return MarketPath(list(sessions), sigma, turbulent, days)


def simulate_symbol(
    symbol: str, spec: MarketDataSpec, source: SyntheticSource, market: MarketPath
) -> SessionPath:
    """Return a symbol's path over the sessions of `market`.

    The logarithmic level moves by ``s z - s^2 / 2`` before the open and again in the session, z
    standard normal with `market_correlation` between symbols; so expected returns are zero.

    Raises
    ------
    UserError
        If the volatility brings the level to zero.
    """
    draws = SymbolDraws(source.seed, symbol)
    days, life = draws.of_days(market.sessions), draws.of_life()
    share = _OVERNIGHT_SHARE[spec.calendar]
    log_open, log_close = _levels(days, market, source, share)
    z_price, z_turnover = normals(life[[LifeDraw.PRICE, LifeDraw.TURNOVER]])
    first_price_usd = _MEDIAN_PRICE_USD * float(np.exp(_PRICE_SPREAD * z_price))
    closing_usd = first_price_usd * np.exp(log_close)
    if closing_usd.size and closing_usd.min() < MIN_PRICE_USD:
        lowest = int(closing_usd.argmin())
        raise worthless(symbol, market.sessions[lowest], float(closing_usd[lowest]), source)
    lifetime = draw_lifetime(symbol, spec, source, life)
    planned = plan_actions(market.sessions, lifetime, life, days, source, sessions_a_year(spec))
    priced = apply_actions(
        market.sessions, np.exp(log_close), first_price_usd, planned, days, source
    )
    daily = _DAILY_TURNOVER_SPREAD * normals(np.ascontiguousarray(days[:, DayDraw.VOLUME]))
    turnover_usd = _MEDIAN_TURNOVER_USD * np.exp(_TURNOVER_SPREAD * z_turnover + daily)
    turnover_usd *= np.where(market.turbulent, _TURBULENT_TURNOVER, 1.0)
    return SessionPath(
        sessions=market.sessions,
        lifetime=lifetime,
        actions=priced.actions,
        log_open=log_open,
        log_close=log_close,
        sigma=market.sigma * np.sqrt(1 - share),
        scale=priced.scale,
        offset_usd=priced.offset_usd,
        volume=turnover_usd / (priced.scale * np.exp(log_open)),
        days=days,
    )


def worthless(symbol: str, session: date, price_usd: float, source: SyntheticSource) -> UserError:
    """Return the error for a price that fell to nothing."""
    msg = (
        f"annual_volatility {source.annual_volatility} with turbulent_multiple"
        f" {source.turbulent_multiple} brings {symbol} to {price_usd:.1e} USD on {session};"
        f" expected prices above {MIN_PRICE_USD} USD, so choose a smaller volatility or a later"
        " start"
    )
    return UserError(msg)


def _levels(
    days: Floats, market: MarketPath, source: SyntheticSource, overnight_share: float
) -> tuple[Floats, Floats]:
    rho = source.market_correlation
    shocks = np.sqrt(rho) * normals(market.days[:, :2]) + np.sqrt(1 - rho) * normals(days[:, :2])
    sigma = market.sigma[:, None] * np.sqrt([overnight_share, 1 - overnight_share])
    steps = sigma * shocks - sigma**2 / 2
    steps[:1, DayDraw.OVERNIGHT] = 0.0
    levels = np.cumsum(steps.ravel()).reshape(-1, 2)
    return np.ascontiguousarray(levels[:, 0]), np.ascontiguousarray(levels[:, 1])
