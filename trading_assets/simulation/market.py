"""Bars and corporate actions as arrays: what the market core is stepped over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import (
    ADV_USD,
    CASH_PER_SHARE,
    CLOSE,
    OPEN,
    PAYOUT_PER_SHARE,
    SPLIT_RATIO,
    TAPE_FIELDS,
    VOLATILITY,
    VOLUME,
)
from trading_assets.simulation.core import Bar
from trading_assets.simulation.terms import Floats

VOLATILITY_DECAY = 0.94
ADV_BARS = 21


@dataclass(frozen=True, slots=True)
class Market:
    """A market of T sessions and N symbols.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Sessions, ascending.
    symbols : tuple of str
        Symbols in column order.
    open, close, volume : float64 (T, N)
        Unadjusted prices in USD and shares traded; nan where there is no bar.
    tradable : bool (T, N)
        Whether a target may be decided at the row's close: there is a bar and an earlier one.
    split_ratio, cash_per_share : float64 (T, N)
        On the ex-date, new shares for one old (else 1) and USD for one old share (else 0).
    volatility : float64 (T, N)
        Standard deviation of a bar's total return, known at the row's close; nan before a return.
    adv_usd : float64 (T, N)
        Mean dollar volume of the last 21 bars, USD, known at the row's close; nan before a bar.
    payout_per_share : float64 (T, N), optional
        USD that a share is paid out with on the row after its symbol was delisted; else nan.
    high, low : float64 (T, N), optional
        Unadjusted extremes of the bar, USD, which limit and stop orders are held against.
    """

    sessions: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    open: Floats
    close: Floats
    volume: Floats
    tradable: NDArray[np.bool_]
    split_ratio: Floats
    cash_per_share: Floats
    volatility: Floats
    adv_usd: Floats
    payout_per_share: Floats | None = None
    high: Floats | None = None
    low: Floats | None = None


def build_market(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    symbols: Sequence[str],
    sessions: Sequence[date],
    declared_volatility: float | None = None,
    delistings: pl.DataFrame | None = None,
) -> Market:
    """Lay bars and corporate actions out as arrays.

    Parameters
    ----------
    bars : DataFrame
        Rows of `validated_bars`; other symbols and sessions are ignored. Without columns `high` and
        `low` the market knows no extremes.
    actions : DataFrame
        Rows of `corporate_actions`. One whose ex-date is no session takes effect on the next
        session; one before the first session is ignored.
    symbols : sequence of str
        Column order.
    sessions : sequence of date
        Rows, ascending and unique.
    declared_volatility : float, optional
        Known volatility of a synthetic world, used for all rows in place of the estimate.
    delistings : DataFrame, optional
        Table of `bars.universe.delisting_returns`: on the row after the symbol's last session a
        share is paid out with its last close times 1 + `delisting_return`.

    Raises
    ------
    DataError
        If sessions are not ascending, or none is given.
    """
    days = np.array(sessions, dtype="datetime64[D]")
    if len(days) == 0 or (np.diff(days).astype(np.int64) <= 0).any():
        msg = f"sessions of a market were {len(days)} dates; expected ascending unique dates"
        raise DataError(msg)
    columns = tuple(symbols)
    extremes = [name for name in ("high", "low") if name in bars.columns]
    prices = panels_of(bars, columns, days, ("open", "close", "volume", *extremes))
    split_ratio, cash_per_share = _actions_panel(actions, columns, days)
    shares = np.cumprod(split_ratio, axis=0)
    has_bar = np.isfinite(prices["open"]) & np.isfinite(prices["close"])
    returns = total_returns_of(prices["close"], split_ratio, cash_per_share)
    if declared_volatility is None:
        volatility = ewma_volatility(returns)
    else:
        volatility = np.full(has_bar.shape, declared_volatility)
    bars_before = np.cumsum(has_bar, axis=0) - has_bar
    return Market(
        sessions=days,
        symbols=columns,
        open=np.where(has_bar, prices["open"], np.nan),
        close=np.where(has_bar, prices["close"], np.nan),
        volume=np.where(has_bar, prices["volume"], np.nan),
        tradable=has_bar & (bars_before > 0),
        split_ratio=split_ratio,
        cash_per_share=cash_per_share,
        volatility=volatility,
        adv_usd=_rolling_mean(prices["close"] * prices["volume"]),
        payout_per_share=_payouts_panel(delistings, columns, days, prices["close"] * shares)
        / shares,
        **{name: np.where(has_bar, prices[name], np.nan) for name in extremes},
    )


def tape_of(market: Market) -> Floats:
    """Return the market as the core's kernels read it, float64 (T, TAPE_FIELDS, N)."""
    tape = np.empty((len(market.sessions), TAPE_FIELDS, len(market.symbols)))
    tape[:, OPEN], tape[:, CLOSE] = market.open, market.close
    tape[:, SPLIT_RATIO], tape[:, CASH_PER_SHARE] = market.split_ratio, market.cash_per_share
    payout = market.payout_per_share
    tape[:, PAYOUT_PER_SHARE] = np.nan if payout is None else payout
    tape[:, VOLUME] = market.volume
    tape[:, VOLATILITY], tape[:, ADV_USD] = market.volatility, market.adv_usd
    return tape


def row_of(market: Market, session: date) -> int:
    """Return the row of a session, or raise DataError if the market does not cover it."""
    day = np.datetime64(session, "D")
    row = int(np.searchsorted(market.sessions, day))
    if row == len(market.sessions) or market.sessions[row] != day:
        msg = (
            f"session {session} is not in the market, which covers {market.sessions[0]} to"
            f" {market.sessions[-1]}; build the market with that session"
        )
        raise DataError(msg)
    return row


def bar_after(market: Market, row: int | NDArray[np.int64]) -> Bar:
    """Return the bar that fills what was decided at the close of `row`.

    Parameters
    ----------
    market : Market
        The market.
    row : int or int64 (K,)
        Row of the decision; an array gives each book its own row and arrays of shape (K, N).

    Returns
    -------
    Bar
        Prices and actions of `row + 1`; volatility and dollar volume of `row`.
    """
    payout = market.payout_per_share
    return Bar(
        open=market.open[row + 1],
        close=market.close[row + 1],
        split_ratio=market.split_ratio[row + 1],
        cash_per_share=market.cash_per_share[row + 1],
        volatility=market.volatility[row],
        adv_usd=market.adv_usd[row],
        volume=market.volume[row + 1],
        payout_per_share=None if payout is None else payout[row + 1],
    )


def total_returns_of(close: Floats, split_ratio: Floats, cash_per_share: Floats) -> Floats:
    """Return `(close x ratio + cash) / previous close - 1`, float64 (T, N).

    The previous close is the symbol's last known one; nan where there is no bar or no earlier one.
    Cash paid while a symbol has no bar belongs to its next return.
    """
    shares = np.cumprod(split_ratio, axis=0)
    shares_before = shares / split_ratio
    cash = np.cumsum(cash_per_share * shares_before, axis=0)
    has_bar = np.isfinite(close)
    rows = np.where(has_bar, np.arange(len(close))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0)
    previous = np.vstack([np.full((1, close.shape[1]), -1), last[:-1]])
    columns = np.broadcast_to(np.arange(close.shape[1]), close.shape)
    at = np.maximum(previous, 0)
    worth = close * shares + cash - cash[at, columns]
    returns = worth / (close[at, columns] * shares[at, columns]) - 1.0
    return np.where(has_bar & (previous >= 0), returns, np.nan)


def ewma_volatility(returns: Floats, decay: float = VOLATILITY_DECAY) -> Floats:
    """Return the root of the exponentially weighted mean of squared returns, float64 (T, N).

    Row t uses returns up to and including t, with weights `decay ** age` that sum to 1; a row
    without a return repeats the last value. nan before the first return.
    """
    squares = pl.DataFrame(returns * returns).fill_nan(None)
    smooth = squares.select(
        pl.all().ewm_mean(alpha=1.0 - decay, adjust=True, ignore_nulls=True).forward_fill()
    )
    return np.sqrt(smooth.fill_null(np.nan).to_numpy())


def _rolling_mean(dollars: Floats) -> Floats:
    frame = pl.DataFrame(dollars).fill_nan(None)
    means = frame.select(pl.all().rolling_mean(ADV_BARS, min_samples=1).forward_fill())
    return means.fill_null(np.nan).to_numpy()


def panels_of(
    rows: pl.DataFrame,
    symbols: tuple[str, ...],
    days: NDArray[np.datetime64],
    values: Sequence[str],
) -> dict[str, Floats]:
    """Lay columns of a (symbol, session) table out as arrays.

    Parameters
    ----------
    rows : DataFrame
        Columns `symbol`, `session` and `values`, one row a key; other symbols and sessions are
        ignored.
    symbols : tuple of str
        Column order.
    days : datetime64[D] (T,)
        Row order.
    values : sequence of str
        Numeric columns.

    Returns
    -------
    dict of str to float64 (T, N)
        One array for each of `values`; nan where the table has no row or a null.
    """
    placed = _place(rows.select("symbol", "session", *values), symbols, days)
    at = (placed["row"].to_numpy(), placed["column"].to_numpy())
    panels: dict[str, Floats] = {}
    for name in values:
        panel = np.full((len(days), len(symbols)), np.nan)
        panel[at] = placed[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        panels[name] = panel
    return panels


def _place(
    rows: pl.DataFrame, symbols: tuple[str, ...], days: NDArray[np.datetime64]
) -> pl.DataFrame:
    columns = pl.DataFrame({"symbol": symbols, "column": np.arange(len(symbols))})
    dates = pl.DataFrame({"session": days, "row": np.arange(len(days))})
    dates = dates.with_columns(pl.col("session").cast(pl.Date))
    return rows.join(columns, on="symbol").join(dates, on="session")


def _actions_panel(
    actions: pl.DataFrame, symbols: tuple[str, ...], days: NDArray[np.datetime64]
) -> tuple[Floats, Floats]:
    ratio = np.ones((len(days), len(symbols)))
    cash = np.zeros((len(days), len(symbols)))
    column = {symbol: index for index, symbol in enumerate(symbols)}
    for symbol, ex_date, split, dividend in actions.select(
        "symbol", "ex_date", "split_ratio", "cash_usd"
    ).iter_rows():
        if symbol not in column or np.datetime64(ex_date, "D") < days[0]:
            continue
        row = int(np.searchsorted(days, np.datetime64(ex_date, "D")))
        if row < len(days):
            cash[row, column[symbol]] += dividend
            ratio[row, column[symbol]] *= split
    return ratio, cash


def _payouts_panel(
    delistings: pl.DataFrame | None,
    symbols: tuple[str, ...],
    days: NDArray[np.datetime64],
    worth: Floats,
) -> Floats:
    """Return what is paid out for the shares that one share of the first row has become, USD."""
    payout = np.full(worth.shape, np.nan)
    if delistings is None:
        return payout
    for symbol, session, last_bar, final_return in delistings.select(
        "symbol", "session", "last_bar_session", "delisting_return"
    ).iter_rows():
        row = int(np.searchsorted(days, np.datetime64(session, "D"), side="right"))
        bar = int(np.searchsorted(days, np.datetime64(last_bar, "D")))
        if symbol in symbols and bar < row < len(days):
            column = symbols.index(symbol)
            payout[row, column] = worth[bar, column] * (1.0 + final_return)
    return payout
