"""A traded window as tables: weights, trades, holdings and equity, with every cost in its parts."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.window import TradedWindow
from trading_assets.errors import EquityLostError
from trading_assets.schema import conform
from trading_assets.simulation.compiled.layout import (
    BASE,
    COSTS,
    DIVIDENDS,
    EQUITY,
    EQUITY_BEFORE,
    FILL_PRICE,
    FINANCING,
    GAIN,
    PNL,
    PRICE,
    QUANTITY,
    TRADE,
    TRADE_COST,
    TRADED,
    WEIGHT_CHANGE,
)
from trading_assets.simulation.market import Market
from trading_assets.simulation.terms import SESSIONS_PER_YEAR, Floats
from trading_assets.strategy import CostsSpec

_BPS = 1e-4


def weights_table(traded: TradedWindow, market: Market) -> pl.DataFrame:
    """Return table `weights`: targets by the session of their decision."""
    cells = _cells(traded, market, at_fill=False)
    return conform("weights", cells.with_columns(weight=_flat(traded.weights)))


def trades_table(traded: TradedWindow, market: Market, costs: CostsSpec) -> pl.DataFrame:
    """Return table `trades`: what was traded or cost something, by the session of the fill."""
    fills = traded.fills
    parts = _cost_parts(traded, market, costs)
    rows = _cells(traded, market, at_fill=True).with_columns(
        quantity=_flat(fills[:, :, TRADE]),
        price_usd=_flat(fills[:, :, FILL_PRICE]),
        cost_usd=_flat(fills[:, :, TRADE_COST]),
        **{name: _flat(values) for name, values in parts.items()},
    )
    # A quadratic cost is due on a change of weight even where rounding leaves no share to trade.
    return conform("trades", rows.filter((pl.col("quantity") != 0.0) | (pl.col("cost_usd") != 0.0)))


def holdings_table(traded: TradedWindow, market: Market) -> pl.DataFrame:
    """Return table `holdings`: what was held at each close and gained over the session."""
    quantity, price = (_flat(traded.positions[:, :, field]) for field in (QUANTITY, PRICE))
    return conform(
        "holdings",
        _cells(traded, market, at_fill=True).with_columns(
            quantity=quantity,
            close_usd=price,
            value_usd=quantity * price,
            gain_usd=_flat(traded.fills[:, :, GAIN]),
        ),
    )


def equity_table(traded: TradedWindow, market: Market, costs: CostsSpec) -> pl.DataFrame:
    """Return table `equity`: one row for each portfolio and session.

    Raises
    ------
    EquityLostError
        If a portfolio lost all its equity.
    """
    outcomes = traded.outcomes
    equity, before = outcomes[..., EQUITY], outcomes[..., EQUITY_BEFORE]
    _require_equity(traded, market, np.minimum(equity, before))
    value = traded.positions[:, :, QUANTITY] * traded.positions[:, :, PRICE]
    financing = outcomes[..., FINANCING]
    short_usd = np.maximum(-value, 0.0).sum(axis=2)
    fee = short_usd * costs.borrow_bps_per_year * _BPS / SESSIONS_PER_YEAR
    borrow = np.minimum(np.round(fee, 6), financing)
    days = market.sessions[traded.rows.start + 1 : traded.rows.stop + 1]
    bars, count = equity.shape
    columns = {
        "equity_usd": equity,
        "cash_usd": traded.cash,
        "pnl_usd": outcomes[..., PNL],
        "dividends_usd": outcomes[..., DIVIDENDS],
        "costs_usd": outcomes[..., COSTS],
        "financing_usd": financing,
        "interest_usd": financing - borrow,
        "borrow_usd": borrow,
        "gross_weight": np.abs(value).sum(axis=2) / equity,
        "turnover": outcomes[..., TRADED] / before,
    }
    frame = pl.DataFrame(
        {
            "portfolio": np.repeat(np.array(traded.portfolios, dtype=np.str_), bars),
            "session": np.tile(days, count),
            **{name: values.T.ravel() for name, values in columns.items()},
        }
    )
    return conform("equity", frame.with_columns(pl.col("session").cast(pl.Date)))


def _cost_parts(traded: TradedWindow, market: Market, costs: CostsSpec) -> dict[str, Floats]:
    """Return each part of a trade's cost, (R, K, N); they add up to the cost as it was booked.

    What rounding the sum to a micro-dollar moves belongs to the largest kind that is declared.
    """
    fills, rows = traded.fills, slice(traded.rows.start, traded.rows.stop)
    notional = np.abs(fills[:, :, TRADE]) * fills[:, :, FILL_PRICE]
    volatility = market.volatility[rows][:, None, :]
    none = np.zeros_like(notional)
    parts = {
        "fee_usd": notional * costs.fee_bps * _BPS,
        "spread_usd": notional * costs.half_spread_bps * _BPS,
        "impact_usd": none,
        "quadratic_usd": none,
    }
    rest = "spread_usd" if costs.half_spread_bps >= costs.fee_bps else "fee_usd"
    if costs.impact_coefficient > 0.0:
        share = np.divide(
            notional, market.adv_usd[rows][:, None, :], out=none.copy(), where=notional > 0.0
        )
        parts["impact_usd"] = np.where(
            notional > 0.0, notional * costs.impact_coefficient * volatility * np.sqrt(share), 0.0
        )
        rest = "impact_usd"
    if costs.quadratic_lambda > 0.0:
        change, base = fills[:, :, WEIGHT_CHANGE], traded.outcomes[:, :, None, BASE]
        cost = 0.5 * costs.quadratic_lambda * volatility**2 * change**2 * base
        parts["quadratic_usd"] = np.where(change != 0.0, cost, 0.0)
        rest = "quadratic_usd"
    others = sum((values for name, values in parts.items() if name != rest), none)
    parts[rest] = fills[:, :, TRADE_COST] - others
    return parts


def _require_equity(traded: TradedWindow, market: Market, least: Floats) -> None:
    lost = np.argwhere(~(least > 0.0))
    if len(lost):
        bar, portfolio = (int(place) for place in lost[0])
        day = market.sessions[traded.rows.start + 1 + bar]
        msg = (
            f"equity fell to {least[bar, portfolio]:.2f} USD of portfolio"
            f" {traded.portfolios[portfolio]} on {day}; expected it to stay positive: lower"
            " max_gross or max_weight of the risk limits"
        )
        raise EquityLostError(msg)


def _cells(traded: TradedWindow, market: Market, *, at_fill: bool) -> pl.DataFrame:
    """Return portfolio, session and symbol of each element of an array (R, K, N), as `_flat`."""
    first = traded.rows.start + at_fill
    bars, count, symbols = traded.weights.shape
    days = market.sessions[first : first + bars]
    return pl.DataFrame(
        {
            "portfolio": np.repeat(np.array(traded.portfolios, dtype=np.str_), bars * symbols),
            "session": np.tile(np.repeat(days, symbols), count),
            "symbol": np.tile(np.array(market.symbols, dtype=np.str_), bars * count),
        }
    ).with_columns(pl.col("session").cast(pl.Date))


def _flat(values: Floats) -> NDArray[np.float64]:
    return np.ascontiguousarray(values.transpose(1, 0, 2)).ravel()
