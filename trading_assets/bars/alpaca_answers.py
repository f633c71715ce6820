"""Alpaca's JSON as tables: bars and corporate actions."""

from datetime import date, datetime
from typing import Any

import polars as pl

from trading_assets.bars.calendar import ExchangeCalendar
from trading_assets.errors import DataError
from trading_assets.schema import UTC_TIME, conform

ORIGIN = "alpaca corporate actions"

Json = dict[str, Any]

_PRICE_SCHEMA = {
    "symbol": pl.String,
    "session": pl.Date,
    **dict.fromkeys(
        ("open", "high", "low", "close", "volume", "vendor_adjusted_close"), pl.Float64
    ),
}
_ACTION_SCHEMA = {
    "symbol": pl.String,
    "ex_date": pl.Date,
    "kind": pl.String,
    "split_ratio": pl.Float64,
    "cash_usd": pl.Float64,
}


def parse_prices(bars: Json, calendar: ExchangeCalendar) -> pl.DataFrame:
    """Return bars by symbol as symbol, session, open, high, low, close, volume and a null.

    Alpaca dates a daily bar with the midnight in New York that starts its session.
    """
    try:
        rows = [
            (
                symbol,
                datetime.fromisoformat(bar["t"]).astimezone(calendar.time_zone).date(),
                *(float(bar[field]) for field in ("o", "h", "l", "c", "v")),
                None,
            )
            for symbol, symbol_bars in bars.items()
            for bar in symbol_bars
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise malformed(error, what="bar") from None
    return pl.DataFrame(rows, schema=_PRICE_SCHEMA, orient="row")


def parse_actions(actions: Json, calendar: ExchangeCalendar) -> pl.DataFrame:
    """Return corporate actions by kind as table `corporate_actions`.

    Each is known at the open of its ex date (or of the next session): Alpaca does not say when it
    was announced.
    """
    try:
        rows = [
            (action["symbol"], date.fromisoformat(action["ex_date"]), *_effect(group, action))
            for group, group_actions in actions.items()
            for action in group_actions
        ]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise malformed(error, what="corporate action") from None
    # Two dividends on one day, an ordinary and a special one, are one entitlement.
    table = (
        pl.DataFrame(rows, schema=_ACTION_SCHEMA, orient="row")
        .group_by("symbol", "ex_date", "kind")
        .agg(pl.col("split_ratio").product(), pl.col("cash_usd").sum())
        .sort("symbol", "ex_date", "kind")
    )
    openings = [_first_open(day, calendar) for day in table["ex_date"].to_list()]
    return conform(
        "corporate_actions",
        table.with_columns(
            pl.Series("knowledge_time", openings, dtype=UTC_TIME),
            pl.lit(None, dtype=pl.String).alias("new_symbol"),
            pl.lit(ORIGIN).alias("origin"),
        ),
    )


def _effect(group: str, action: Json) -> tuple[str, float, float]:
    if group in ("forward_splits", "reverse_splits"):
        return "split", float(action["new_rate"]) / float(action["old_rate"]), 0.0
    if group == "stock_dividends":
        return "split", 1 + float(action["rate"]), 0.0
    if group == "cash_dividends":
        return "dividend", 1.0, float(action["rate"])
    msg = f"unknown kind of corporate action {group}"
    raise ValueError(msg)


def _first_open(ex_date: date, calendar: ExchangeCalendar) -> datetime:
    session = ex_date if calendar.is_session(ex_date) else calendar.next_session(ex_date)
    return calendar.open_time(session)


def malformed(error: Exception, what: str) -> DataError:
    """Return the error for an answer that holds no readable `what`."""
    msg = f"Alpaca's answer holds no readable {what} ({type(error).__name__}); try again later"
    return DataError(msg)
