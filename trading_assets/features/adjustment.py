"""Prices of one symbol made comparable across corporate actions, without looking ahead.

The adjustment runs forward: prices after an action are multiplied, earlier ones stay as they were
traded. An action known later therefore changes no earlier row, to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Action:
    """One corporate action: new shares and cash for one old share, from `ex_date` on."""

    ex_date: date
    split_ratio: float
    cash_usd: float


@dataclass(frozen=True, slots=True)
class SymbolBars:
    """Bars of one symbol in time order, arrays (T,), float64.

    `open`, `high`, `low`, `close` are total-return prices in USD of the first bar's share, `volume`
    is in shares of the first bar, `dollar_volume` as traded. `log_return` holds
    ln((P_t * split_t + cash_t) / P_{t-1}), nan at the first bar. Each value is known at its close.
    """

    sessions: NDArray[np.datetime64]
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    dollar_volume: Array
    log_return: Array
    overnight_gap: Array


def list_actions(actions: pl.DataFrame) -> dict[str, list[Action]]:
    """Return the rows of table corporate_actions by symbol, in the order they apply.

    Dividends precede a split of the same ex-date, because cash is stated for one old share.
    """
    if actions.is_empty():
        return {}
    columns = ["symbol", "ex_date", "kind", "split_ratio", "cash_usd"]
    by_symbol: dict[str, list[Action]] = {}
    for symbol, ex_date, _, ratio, cash in (
        actions.select(columns).sort("symbol", "ex_date", "kind").iter_rows()
    ):
        by_symbol.setdefault(symbol, []).append(Action(ex_date, float(ratio), float(cash)))
    return by_symbol


def adjust_forward(rows: pl.DataFrame, actions: Sequence[Action]) -> SymbolBars:
    """Return one symbol's bars on the scale of its first bar.

    Parameters
    ----------
    rows : DataFrame
        Table validated_bars of one symbol, sorted by session.
    actions : sequence of Action
        In the order they apply; those up to the first bar change nothing.

    Raises
    ------
    DataError
        If a session occurs twice.
    """
    sessions = rows["session"].to_numpy().astype("datetime64[D]")
    if len(sessions) > 1 and not bool((sessions[1:] > sessions[:-1]).all()):
        msg = (
            f"bars of {rows['symbol'][0]} hold a session twice; expected one bar a session: keep"
            f" the newest revision only"
        )
        raise DataError(msg)
    raw = {name: rows[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    split, cash = entitlements(sessions, actions)
    close = raw["close"]
    log_return = np.full(len(close), np.nan)
    gap = np.full(len(close), np.nan)
    log_return[1:] = np.log((close[1:] * split[1:] + cash[1:]) / close[:-1])
    gap[1:] = np.log((raw["open"][1:] * split[1:] + cash[1:]) / close[:-1])
    factor = np.cumprod(split + cash / close)
    return SymbolBars(
        sessions=sessions,
        open=raw["open"] * factor,
        high=raw["high"] * factor,
        low=raw["low"] * factor,
        close=close * factor,
        volume=raw["volume"] / np.cumprod(split),
        dollar_volume=close * raw["volume"],
        log_return=log_return,
        overnight_gap=gap,
    )


def entitlements(
    sessions: NDArray[np.datetime64], actions: Sequence[Action]
) -> tuple[Array, Array]:
    """Return the shares and the cash that one share of the bar before has become, (T,) each.

    Actions up to the first session change nothing.
    """
    split = np.ones(len(sessions))
    cash = np.zeros(len(sessions))
    for action in actions:
        row = int(np.searchsorted(sessions, np.datetime64(action.ex_date, "D")))
        if 0 < row < len(sessions):
            cash[row] += split[row] * action.cash_usd
            split[row] *= action.split_ratio
    return split, cash
