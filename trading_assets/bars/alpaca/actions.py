"""Alpaca's corporate actions as table `corporate_actions`.

Alpaca does not say when an action was announced, so it counts as known at the open of its ex date,
or of the next session. A spin-off's worth is the new share's close on that session, so the spin-off
is known when that close is.

What has no place in the table is left out with a warning in the log: cash mergers and mergers into
a ticker that traded before (declare the member's last session and delisting return instead), unit
splits, rights, redemptions, removals, dividends in another currency, and kinds not known here.
"""

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import polars as pl

from trading_assets.bars.alpaca.action_kinds import ORIGIN, READERS, Action
from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import DataError, shown
from trading_assets.schema import UTC_TIME, conform

Json = dict[str, Any]

_LOG = logging.getLogger(__name__)
# Exchanges hold a ticker back for longer than this before another company gets it.
_LONGEST_KIND = 40
_UNUSED_BEFORE_RENAME = timedelta(days=10)


class Closes(Protocol):
    """Closing prices of any ticker of the feed."""

    def __call__(self, symbol: str, first: date, last: date) -> dict[date, float]:
        """Return the unadjusted closes from `first` to `last`, none for an unknown ticker."""
        ...


def read_actions(answer: Json, symbols: Collection[str]) -> list[Action]:
    """Return the actions of `symbols`, each once, in the order of symbol and date.

    A rename to one of `symbols` is among them, as it ends the time of whoever held the ticker.

    Raises
    ------
    DataError
        If a field of a kind that is read is missing, of another type or out of range.
    """
    actions: dict[str, Action] = {}
    for group, entries in sorted(answer.items()):
        read = READERS.get(group)
        if read is None:
            kind = group if group.isidentifier() and len(group) <= _LONGEST_KIND else shown(group)
            _LOG.warning("corporate actions of kind %s have no place here: left out", kind)
            continue
        for entry in _objects(entries, group):
            try:
                # An action that two pages or two requests hold is one action.
                found = [action for action in read(entry) if _concerns(action, symbols)]
                actions |= {f"{entry['id']} {action.kind}": action for action in found}
            except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
                raise _malformed(group, error) from None
    return [actions[key] for key in sorted(actions, key=lambda key: (*_order(actions[key]), key))]


def settle_actions(
    actions: list[Action], closes: Closes, calendar: ExchangeCalendar
) -> list[Action]:
    """Return `actions` with what depends on another ticker's price decided.

    A spin-off is worth its shares times the new share's close on the ex date's session, or 0 with a
    note in `origin` when the feed has none. A one-for-one merger into a ticker without any bar in
    the ten days before is a rename; any other is left out.
    """
    return [
        settled for action in actions if (settled := _settled(action, closes, calendar)) is not None
    ]


def actions_table(
    actions: list[Action], calendar: ExchangeCalendar, lag_minutes: int
) -> pl.DataFrame:
    """Return table `corporate_actions`, one row a symbol, ex date and kind.

    Several dividends of one day are one entitlement, as are several splits.
    """
    rows = [
        (
            action.symbol,
            action.ex_date,
            action.kind,
            action.split_ratio,
            action.cash_usd,
            action.new_symbol,
            known_from(action, calendar, lag_minutes),
            action.origin,
        )
        for action in actions
    ]
    schema = {
        "symbol": pl.String,
        "ex_date": pl.Date,
        "kind": pl.String,
        "split_ratio": pl.Float64,
        "cash_usd": pl.Float64,
        "new_symbol": pl.String,
        "knowledge_time": UTC_TIME,
        "origin": pl.String,
    }
    table = (
        pl.DataFrame(rows, schema=schema, orient="row")
        .group_by("symbol", "ex_date", "kind", maintain_order=True)
        .agg(
            pl.col("split_ratio").product(),
            pl.col("cash_usd").sum(),
            pl.col("new_symbol").first(),
            pl.col("knowledge_time").max(),
            pl.col("origin").unique(maintain_order=True).str.join("; "),
        )
    )
    return conform("corporate_actions", table).sort("symbol", "ex_date", "kind")


def known_from(action: Action, calendar: ExchangeCalendar, lag_minutes: int) -> datetime:
    """Return when a trader could first have used `action`."""
    session = _session_of(action, calendar)
    if action.kind == "spin_off":
        return calendar.close_time(session) + timedelta(minutes=lag_minutes)
    return calendar.open_time(session)


def _settled(action: Action, closes: Closes, calendar: ExchangeCalendar) -> Action | None:
    if action.left_out:
        _leave_out(action, action.left_out)
        return None
    if action.needs is None:
        return action
    session = _session_of(action, calendar)
    if action.kind == "spin_off":
        close = closes(action.needs, session, session).get(session)
        share = f"{action.shares:.6g} {action.needs} a share"
        if close is None:
            _LOG.warning("%s of %s has no bar: worth unknown", share, action.symbol)
            return replace(action, origin=f"{ORIGIN}: {share}, worth unknown")
        return replace(
            action,
            cash_usd=action.shares * close,
            origin=f"{ORIGIN}: {share} at its close of {session}",
        )
    before = action.ex_date - timedelta(days=1)
    if closes(action.needs, action.ex_date - _UNUSED_BEFORE_RENAME, before):
        _leave_out(action, f"is into {action.needs}, which traded before")
        return None
    return action


def _objects(entries: Any, group: str) -> list[Json]:  # noqa: ANN401 # whatever JSON holds
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _malformed(group, TypeError())
    return entries


def _session_of(action: Action, calendar: ExchangeCalendar) -> date:
    day = action.ex_date
    return day if calendar.is_session(day) else calendar.next_session(day)


def _concerns(action: Action, symbols: Collection[str]) -> bool:
    return action.symbol in symbols or action.new_symbol in symbols


def _order(action: Action) -> tuple[str, date, str]:
    return action.symbol, action.ex_date, action.kind


def _leave_out(action: Action, reason: str) -> None:
    _LOG.warning("%s of %s on %s %s: left out", action.kind, action.symbol, action.ex_date, reason)


def _malformed(group: str, error: Exception) -> DataError:
    msg = (
        f"Alpaca's answer holds no readable corporate action ({group}: {type(error).__name__}); try"
        " again later, or report it to the vendor"
    )
    return DataError(msg)
