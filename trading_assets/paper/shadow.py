"""Shadow sessions: what a challenger would have decided and ordered, of which nothing is sent.

It decides on the data and the account that the paper session of the same day decided on, and its
orders pass the same pre-trade checks. It has no broker, no log and no account of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

import numpy as np
import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.governance.succession import bundle_of
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.account import Account
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.account_memory import MEMORY
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.deciders import KnownData, bundle_decider, known_before
from trading_assets.paper.deciding import DecidedSession, decide_session
from trading_assets.paper.gateways import Gateway
from trading_assets.paper.inputs import SessionInputs
from trading_assets.paper.order_records import state_fields
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.renamed import Renaming
from trading_assets.paper.trading import market_until
from trading_assets.schema import TABLES, conform
from trading_assets.strategy import Strategy

# What a challenger remembers by its own digest; the rest is about the account.
_OWN_MEMORY = ("bundle", "carried", "carried_on", "forecast_state")


@dataclass(frozen=True, slots=True)
class ShadowData:
    """What a shadow session reads.

    Attributes
    ----------
    bars, actions, series : DataFrame
        As the paper session read them.
    challenger : mapping of str to bytes
        Files of the newest challenger.
    digest : str
        Digest of its bundle.
    record : SessionRecord
        The paper session of the same day.
    before : mapping or None
        Summary of the paper session before it.
    shadow_before : mapping or None
        Summary of the shadow session before.
    """

    bars: pl.DataFrame
    actions: pl.DataFrame
    series: pl.DataFrame
    challenger: Mapping[str, bytes]
    digest: str
    record: SessionRecord
    before: Mapping[str, Any] | None = None
    shadow_before: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ShadowSession:
    """What was decided and would have been ordered.

    Attributes
    ----------
    decisions, orders : DataFrame
        Tables `shadow_decisions` and `shadow_orders`.
    summary : mapping
        Figures and what the challenger remembers, as JSON values.
    """

    decisions: pl.DataFrame
    orders: pl.DataFrame
    summary: Mapping[str, Any]


class NoBroker:
    """The gateway of a session that sends nothing: whatever is asked of it is a mistake."""

    def __getattr__(self, name: str) -> object:
        msg = f"a shadow session asked a broker for {name}; expected it to send and read nothing"
        raise AssertionError(msg)


def run_shadow_session(
    name: str, strategy: Strategy, market_data: MarketDataSpec, data: ShadowData
) -> ShadowSession:
    """Return what the challenger decides for the day of a paper session.

    Raises
    ------
    DataError
        If the bundle does not verify, or its decision breaks a limit.
    """
    calendar, session = get_calendar(market_data.calendar), data.record.session
    known = known_before(
        KnownData(data.bars, data.actions, data.series, market_data),
        session,
        calendar,
        strategy.paper.decision_minutes_before_open,
    )
    renaming = Renaming.since(data.record, market_data.universe, data.actions)
    before = {"before": data.before, "shadow_before": data.shadow_before}
    decide = bundle_decider(bundle_of(data.challenger), data.digest, known)
    inputs = SessionInputs(
        name=f"{name}-shadow",
        strategy=strategy,
        session=session,
        calendar=calendar,
        market=market_until(session, data.bars, data.actions, market_data),
        decision_time=datetime.fromisoformat(str(data.record.summary["decision_time"])),
        decide=lambda held, day, _: decide(held, day, remembered_before(**before)),
        gateway=cast("Gateway", NoBroker()),
        previous=None,
        stored=None,
        folder=cast("AccountFolder", NoBroker()),
        clock=SystemClock(),
    )
    return decide_in_shadow(inputs, data.record, renaming.current)


def decide_in_shadow(
    inputs: SessionInputs, record: SessionRecord, current: Mapping[str, str] | None = None
) -> ShadowSession:
    """Return what is decided from the account that a paper session opened with.

    Parameters
    ----------
    inputs : SessionInputs
        Market, declaration and who decides; broker and folder are not touched.
    record : SessionRecord
        The paper session of the same day.
    current : mapping of str to str, optional
        What the record's symbols are called now, where that is another name.
    """
    carried = Renaming(current or {}).carry(record)
    account = Account()
    start = {"event": "START", "session": inputs.session.isoformat()}
    account.apply({**start, **state_fields(carried.opening)})
    decided = decide_session(inputs, account)
    names = dict(current or {})
    decided_there: dict[str, float] = dict(
        record.tables["decisions"]["symbol", "weight"].iter_rows()
    )
    champion = {names.get(symbol, symbol): weight for symbol, weight in decided_there.items()}
    decisions = _decisions_table(inputs.session, decided, champion)
    apart = (decisions["weight"] - decisions["champion_weight"]).drop_nulls().abs()
    return ShadowSession(
        decisions=decisions,
        orders=_orders_table(inputs.session, decided),
        summary={
            "session": inputs.session.isoformat(),
            "decided_by": decided.decided_by,
            "champion": _first(record.tables["decisions"]["decided_by"]),
            "would_send": len(decided.plan.orders),
            "refused": len(decided.plan.refusals),
            # Shares of equity that would have to be traded to get from one book to the other.
            "distance": float(np.sum(apart.to_numpy())) if len(apart) else None,
            "largest_distance": float(np.max(apart.to_numpy())) if len(apart) else None,
            **decided.remembered,
        },
    )


def remembered_before(
    before: Mapping[str, Any] | None, shadow_before: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return what a challenger remembers: of the account what the paper sessions do, else its own.

    Parameters
    ----------
    before, shadow_before : mapping or None
        Summaries of the paper session and of the shadow session before.
    """
    of_account = (before or {}).get(MEMORY, {})
    own = (shadow_before or {}).get(MEMORY, {})
    kept = {name: value for name, value in of_account.items() if name not in _OWN_MEMORY}
    kept |= {name: own[name] for name in _OWN_MEMORY if name in own}
    if own:
        # A shadow session is never settled: it has no account that could be.
        kept.setdefault("settled", {})
    return {MEMORY: kept} if kept else None


def empty_shadow() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the tables `shadow_decisions` and `shadow_orders` without rows."""
    return TABLES["shadow_decisions"].empty(), TABLES["shadow_orders"].empty()


def _decisions_table(
    session: date, decided: DecidedSession, champion: Mapping[str, float]
) -> pl.DataFrame:
    rows = [
        (
            session,
            target.symbol,
            target.reference_price_usd,
            target.raw_weight,
            target.weight,
            champion.get(target.symbol),
            target.binding_limits,
            decided.decided_by,
        )
        for target in decided.targets
    ]
    schema = TABLES["shadow_decisions"].empty().schema
    return conform("shadow_decisions", pl.DataFrame(rows, schema=schema, orient="row"))


def _orders_table(session: date, decided: DecidedSession) -> pl.DataFrame:
    rows = [
        (session, o.client_order_id, o.symbol, o.side, o.quantity, "would_send", "", "")
        for o in decided.plan.orders
    ]
    rows += [
        (session, r.client_order_id, r.symbol, r.side, r.quantity, "refused", r.rule, r.reason)
        for r in decided.plan.refusals
    ]
    schema = TABLES["shadow_orders"].empty().schema
    return conform("shadow_orders", pl.DataFrame(rows, schema=schema, orient="row"))


def _first(values: pl.Series) -> str:
    return str(values[0]) if len(values) else "nobody"
