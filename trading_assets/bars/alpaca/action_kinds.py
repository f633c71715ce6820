"""What each kind of Alpaca's corporate actions does to a holder of one share."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from trading_assets.symbols import normalize_symbol

ORIGIN = "alpaca corporate actions"

Json = dict[str, Any]

# Beyond what `check_actions` calls plausible, it is no ratio at all.
_LARGEST_RATIO = 1e6
_NO_TICKER = "is to a ticker that is not allowed"


@dataclass(frozen=True, slots=True)
class Action:
    """What one of Alpaca's actions does to a holder of one share.

    Attributes
    ----------
    symbol, ex_date, kind, split_ratio, cash_usd, new_symbol, origin
        As in table `corporate_actions`.
    needs : str or None
        Ticker whose price decides about the action: the share spun off, or a merger's acquirer.
    shares : float
        Shares of `needs` for one old share.
    left_out : str
        Why it has no place in the table; empty where it has.
    """

    symbol: str
    ex_date: date
    kind: str
    split_ratio: float = 1.0
    cash_usd: float = 0.0
    new_symbol: str | None = None
    origin: str = ORIGIN
    needs: str | None = None
    shares: float = 0.0
    left_out: str = ""


def _split(entry: Json) -> Iterator[Action]:
    ratio = _ratio(entry, "new_rate", "old_rate")
    symbol, ex_date = _text(entry, "symbol"), _day(entry, "ex_date")
    if ratio != 1:
        yield Action(symbol, ex_date, "split", split_ratio=ratio)
    renamed = entry.get("new_symbol")
    if renamed:
        yield from _rename(symbol, _text(entry, "new_symbol"), ex_date)


def _stock_dividend(entry: Json) -> Iterator[Action]:
    ratio = 1.0 + _rate(entry, "rate")
    if ratio > _LARGEST_RATIO:
        raise ValueError
    yield Action(_text(entry, "symbol"), _day(entry, "ex_date"), "split", split_ratio=ratio)


def _cash_dividend(entry: Json) -> Iterator[Action]:
    symbol, ex_date = _text(entry, "symbol"), _day(entry, "ex_date")
    currency = entry.get("currency") or "USD"
    if currency != "USD":
        yield Action(symbol, ex_date, "dividend", left_out="is paid in another currency than USD")
    elif type(entry["rate"]) in (int, float) and entry["rate"] == 0:
        yield Action(symbol, ex_date, "dividend", left_out="pays nothing")
    else:
        yield Action(symbol, ex_date, "dividend", cash_usd=_rate(entry, "rate"))


def _spin_off(entry: Json) -> Iterator[Action]:
    ticker = normalize_symbol(_text(entry, "new_symbol"))
    yield Action(
        _text(entry, "source_symbol"),
        _day(entry, "ex_date"),
        "spin_off",
        needs=ticker,
        shares=_ratio(entry, "new_rate", "source_rate"),
        left_out="" if ticker else _NO_TICKER,
    )


def _name_change(entry: Json) -> Iterator[Action]:
    yield from _rename(
        _text(entry, "old_symbol"), _text(entry, "new_symbol"), _day(entry, "process_date")
    )


def _merger(entry: Json) -> Iterator[Action]:
    symbol, ex_date = _text(entry, "acquiree_symbol"), _day(entry, "effective_date")
    is_paid = "rate" in entry or "cash_rate" in entry
    if is_paid or _rate(entry, "acquirer_rate") != _rate(entry, "acquiree_rate"):
        reason = "is no exchange of one share for one; declare when the member leaves"
        yield Action(symbol, ex_date, "merger", left_out=reason)
    else:
        acquirer = _text(entry, "acquirer_symbol")
        yield from (
            replace(action, needs=action.new_symbol)
            for action in _rename(symbol, acquirer, ex_date)
        )


def _rename(symbol: str, new_symbol: str, ex_date: date) -> Iterator[Action]:
    ticker = normalize_symbol(new_symbol)
    if ticker is None:
        yield Action(symbol, ex_date, "rename", left_out=_NO_TICKER)
    elif ticker != symbol:
        yield Action(symbol, ex_date, "rename", new_symbol=ticker)


def _text(entry: Json, field: str) -> str:
    value = entry[field]
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _day(entry: Json, field: str) -> date:
    return date.fromisoformat(_text(entry, field))


def _rate(entry: Json, field: str) -> float:
    value = entry[field]
    if type(value) not in (int, float):
        raise TypeError
    # An integer may have more digits than a floating-point number holds.
    if not 0 < value <= sys.float_info.max:
        raise ValueError
    return float(value)


def _ratio(entry: Json, new: str, old: str) -> float:
    ratio = _rate(entry, new) / _rate(entry, old)
    if not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
        raise ValueError
    return ratio


READERS: Mapping[str, Callable[[Json], Iterator[Action]]] = {
    "forward_splits": _split,
    "reverse_splits": _split,
    "stock_dividends": _stock_dividend,
    "cash_dividends": _cash_dividend,
    "spin_offs": _spin_off,
    "name_changes": _name_change,
    "stock_mergers": _merger,
    "stock_and_cash_mergers": _merger,
    "cash_mergers": _merger,
}
