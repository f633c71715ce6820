"""Sessions on both sides of a rename: a record keeps its own tickers, the account goes on.

A session is settled under the tickers it was decided under. The next one opens with the same
shares under the tickers that its data has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from trading_assets.bars.actions.companies import newest_tickers, symbols_since
from trading_assets.paper.account_memory import rename_memory
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.record import SessionRecord
from trading_assets.simulation.market import Market

# In a record's summary, where its data knew any rename: the newest one's ex date.
RENAMED_UNTIL = "renamed_until"


@dataclass(frozen=True, slots=True)
class Renaming:
    """What a record's symbols are called in newer data.

    Attributes
    ----------
    current : mapping of str to str
        The record's symbol to today's; empty where none has another name.
    """

    current: Mapping[str, str]

    @classmethod
    def since(
        cls, record: SessionRecord, universe: tuple[str, ...], actions: pl.DataFrame
    ) -> "Renaming":
        """Return what happened to tickers since a record was decided."""
        renames = actions.filter(pl.col("kind") == "rename")
        until = record.summary.get(RENAMED_UNTIL)
        is_seen = pl.col("ex_date") <= (date.min if until is None else date.fromisoformat(until))
        unseen = renames.filter(~is_seen)
        symbols = newest_tickers(universe, renames.filter(is_seen))
        if symbols == newest_tickers(universe, renames):
            return cls({})
        return cls(symbols_since(symbols, unseen))

    def market_as_recorded(self, market: Market) -> Market:
        """Return the market under the tickers of the record."""
        recorded = {new: old for old, new in self.current.items()}
        return replace(market, symbols=tuple(recorded.get(name, name) for name in market.symbols))

    def carry(self, record: SessionRecord) -> SessionRecord:
        """Return a record from which a session under today's tickers goes on."""
        if not self.current:
            return record
        return replace(
            record,
            opening=self._state(record.opening),
            closing=None if record.closing is None else self._state(record.closing),
            summary={
                **record.summary,
                **rename_memory(record.summary, self.current),
                **self._last_targets(record.summary),
            },
        )

    def _name(self, symbol: str) -> str:
        return self.current.get(symbol, symbol)

    def _state(self, state: AccountState) -> AccountState:
        quantity = {self._name(symbol): held for symbol, held in state.quantity.items()}
        return replace(state, quantity=quantity)

    def _last_targets(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        kept = summary.get("last_targets")
        if not kept:
            return {}
        return {"last_targets": {self._name(symbol): weight for symbol, weight in kept.items()}}


def note_renames(record: SessionRecord, actions: pl.DataFrame) -> SessionRecord:
    """Return a record that says up to when its data knew renames, if it knew any."""
    newest = newest_rename(actions)
    if newest is None:
        return record
    return replace(record, summary={**record.summary, RENAMED_UNTIL: newest.isoformat()})


def newest_rename(actions: pl.DataFrame) -> date | None:
    """Return the newest rename's ex date, or None where there is none."""
    days: list[date] = actions.filter(pl.col("kind") == "rename")["ex_date"].sort().to_list()
    return days[-1] if days else None
