"""Who decides a session: a bundle, from what was known at the decision's moment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from trading_assets.bars.actions.companies import newest_tickers
from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.weeks import begins_week
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.account_memory import memory_before
from trading_assets.paper.inputs import DecisionFunction
from trading_assets.policy.decision import Decision, decide, decide_by_fallback, narrow_decision
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.loaded_bundle import load_bundle
from trading_assets.policy.renamed import current_symbols
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class KnownData:
    """What is known when a session is decided.

    Attributes
    ----------
    bars, actions, series : DataFrame
        Tables of the data set; of bars and series the rows known by then.
    market_data : MarketDataSpec
        Universe.
    begins_week : bool
        Whether the session that is decided is the first of its week.
    """

    bars: pl.DataFrame
    actions: pl.DataFrame
    series: pl.DataFrame
    market_data: MarketDataSpec
    begins_week: bool = False

    @property
    def symbols(self) -> tuple[str, ...]:
        """What the universe's companies are called now."""
        return newest_tickers(self.market_data.universe, self.actions)


def known_before(
    data: KnownData, session: date, calendar: ExchangeCalendar, minutes_before_open: int
) -> KnownData:
    """Return what of the data is known at the decision's scheduled moment."""
    limit = calendar.open_time(session) - timedelta(minutes=minutes_before_open)
    is_known = pl.col("knowledge_time") <= limit
    return replace(
        data,
        bars=data.bars.filter(is_known),
        series=data.series.filter(is_known),
        begins_week=begins_week(calendar, session),
    )


def fallback_decider(strategy: Strategy, known: KnownData) -> DecisionFunction:
    """Return the declared fallback as a session's decision function."""
    rules = declared_rules(strategy, known.symbols)

    def decide_now(
        held: Mapping[str, float], session: date, before: Mapping[str, Any] | None
    ) -> Decision:
        return decide_by_fallback(
            strategy.policy.fallback, rules, known.bars, held, session, known.begins_week
        )

    return decide_now


def bundle_decider(files: Mapping[str, bytes], digest: str, known: KnownData) -> DecisionFunction:
    """Return a bundle as a session's decision function.

    Parameters
    ----------
    files : mapping of str to bytes
        The bundle; read, and held against its digest, when it is to decide.
    digest : str
        Its digest.
    known : KnownData
        What it may see.
    """

    def decide_now(
        held: Mapping[str, float], session: date, before: Mapping[str, Any] | None
    ) -> Decision:
        bundle = load_bundle(files, digest)
        universe = known.market_data.universe
        names = current_symbols(bundle.rules.symbols, universe, known.actions)
        memory = memory_before(before, bundle)
        decision = decide(
            bundle,
            known.bars,
            known.actions,
            known.series,
            held,
            session,
            names,
            memory.states,
            memory.carried,
            memory.forecast_state,
            known.begins_week,
        )
        remembered = memory.to_summary(decision.carried, decision.forecast_state)
        return replace(narrow_decision(decision, known.symbols), remembered=remembered)

    return decide_now
