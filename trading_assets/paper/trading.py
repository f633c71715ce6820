"""Puts a session together: the champion or the fallback decides, the declared gateway trades."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from trading_assets.bars.actions.companies import newest_tickers
from trading_assets.bars.calendars.calendar import ExchangeCalendar, get_calendar
from trading_assets.bars.calendars.weeks import begins_week
from trading_assets.bars.universe import delisting_returns
from trading_assets.errors import DataError
from trading_assets.governance.succession import bundle_of, record_of
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.account_memory import memory_before
from trading_assets.paper.brokers import BrokerSetup, build_gateway
from trading_assets.paper.clock import Clock
from trading_assets.paper.inputs import DecisionFunction, SessionInputs, decision_time
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.renamed import Renaming, newest_rename, note_renames
from trading_assets.paper.session import run_session
from trading_assets.paper.settlement import settle_session
from trading_assets.policy.decision import Decision, decide, decide_by_fallback, narrow_decision
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.fold import declared_volatility
from trading_assets.policy.loaded_bundle import load_bundle
from trading_assets.policy.renamed import current_symbols
from trading_assets.simulation.market import Market, build_market
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class SessionData:
    """What a session reads.

    Attributes
    ----------
    session : date
        The session.
    bars, actions, series : DataFrame
        Tables of the data set, reaching back far enough for features; the session's own bars, if
        known already, settle its orders and decide nothing.
    champion : mapping of str to bytes
        Files of the newest champion; empty before the first, when the fallback trades.
    previous, stored : SessionRecord or None
        The newest earlier session, and this one if it was run before.
    account : AccountFolder
        The account's logs, kill switch, and the embedded broker's book.
    credentials : mapping of str to str
        Keys that the environment has.
    clock : Clock
        The time, and how to wait.
    run_id : str
        Which run this is, for the records.
    permits_live : bool
        Whether the environment permits this strategy to trade real money.
    alpaca_url : str
        Another address of Alpaca's dialect on this machine; empty for Alpaca itself.
    """

    session: date
    bars: pl.DataFrame
    actions: pl.DataFrame
    series: pl.DataFrame
    champion: Mapping[str, bytes]
    previous: SessionRecord | None
    stored: SessionRecord | None
    account: AccountFolder
    credentials: Mapping[str, str]
    clock: Clock
    run_id: str = ""
    permits_live: bool = False
    alpaca_url: str = ""


def trade_session(
    name: str, strategy: Strategy, market_data: MarketDataSpec, data: SessionData
) -> SessionRecord:
    """Decide, send, settle and record one session, as far as that can be done now.

    Parameters
    ----------
    name : str
        Strategy's name, part of every order id.
    strategy : Strategy
        Costs, limits and gateway.
    market_data : MarketDataSpec
        Universe and calendar.
    data : SessionData
        What the session reads.

    Raises
    ------
    DataError
        If nothing is known before the session, or its data reaches past the open.
    MissingKeyError
        If the gateway needs a key that the environment lacks.
    """
    calendar = get_calendar(market_data.calendar)
    now = data.clock.now()
    until = decision_time(calendar, data.session, strategy.paper.decision_minutes_before_open, now)
    market = market_until(data.session, data.bars, data.actions, market_data)
    setup = BrokerSetup(
        strategy,
        calendar,
        data.account,
        data.credentials,
        data.clock,
        data.permits_live,
        data.alpaca_url,
    )
    with ExitStack() as opened:

        def inputs(
            market: Market, previous: SessionRecord | None, stored: SessionRecord | None
        ) -> SessionInputs:
            gateway = build_gateway(setup, market)
            opened.callback(gateway.close)
            return SessionInputs(
                name=name,
                strategy=strategy,
                session=data.session,
                calendar=calendar,
                market=market,
                decision_time=until,
                decide=_decider(strategy, market_data, data, calendar),
                gateway=gateway,
                previous=previous,
                stored=stored,
                folder=data.account,
                clock=data.clock,
                run_id=data.run_id,
            )

        return _trade(data, market_data, market, inputs)


def _trade(
    data: SessionData,
    market_data: MarketDataSpec,
    market: Market,
    inputs: Callable[[Market, SessionRecord | None, SessionRecord | None], SessionInputs],
) -> SessionRecord:
    def since(record: SessionRecord) -> Renaming:
        return Renaming.since(record, market_data.universe, data.actions)

    previous, stored, settled = data.previous, data.stored, None
    if stored is not None and stored.status in ("awaiting_fill", "settled"):
        recorded = since(stored).market_as_recorded(market)
        return run_session(inputs(recorded, previous, stored))
    renaming = Renaming({})
    if previous is not None:
        renaming = since(previous)
        if renaming.current and previous.status == "awaiting_fill":
            recorded = renaming.market_as_recorded(market)
            previous = settled = settle_session(inputs(recorded, previous, None), previous)
        previous = renaming.carry(previous)
    if stored is not None:
        stored = since(stored).carry(stored)
    own = inputs(market, previous, stored)
    if renaming.current:
        own.gateway.rename(renaming.current, newest_rename(data.actions) or data.session)
    record = run_session(own)
    record = record if settled is None else replace(record, settled_previous=settled)
    return note_renames(record, data.actions)


def market_until(
    session: date, bars: pl.DataFrame, actions: pl.DataFrame, market_data: MarketDataSpec
) -> Market:
    """Return the market that a session is decided, settled and replayed on.

    Parameters
    ----------
    session : date
        Last session whose bar is used, if it is known.
    bars, actions : DataFrame
        Tables `validated_bars` and `corporate_actions`, by company.
    market_data : MarketDataSpec
        Universe, and how its volatility is known.

    Raises
    ------
    DataError
        If fewer than two sessions are known.
    """
    known = bars.filter(pl.col("session") <= session)
    sessions = known["session"].unique().sort().to_list()
    if len(sessions) < 2:
        msg = f"no bars are known before {session}; materialize earlier months first"
        raise DataError(msg)
    symbols = newest_tickers(market_data.universe, actions)
    return build_market(
        known,
        actions,
        symbols,
        sessions,
        declared_volatility(market_data),
        delisting_returns(market_data, known),
    )


def _decider(
    strategy: Strategy,
    market_data: MarketDataSpec,
    data: SessionData,
    calendar: ExchangeCalendar,
) -> DecisionFunction:
    limit = calendar.open_time(data.session) - timedelta(
        minutes=strategy.paper.decision_minutes_before_open
    )
    known = pl.col("knowledge_time") <= limit
    bars, series = data.bars.filter(known), data.series.filter(known)
    champion = record_of(data.champion)
    symbols = newest_tickers(market_data.universe, data.actions)
    is_first_of_week = begins_week(calendar, data.session)

    def decide_now(
        held: Mapping[str, float], session: date, before: Mapping[str, Any] | None
    ) -> Decision:
        if champion is None or champion.is_fallback:
            rules = declared_rules(strategy, symbols)
            fallback = strategy.policy.fallback
            return decide_by_fallback(fallback, rules, bars, held, session, is_first_of_week)
        bundle = load_bundle(bundle_of(data.champion), champion.champion)
        names = current_symbols(bundle.rules.symbols, market_data.universe, data.actions)
        memory = memory_before(before, bundle)
        decision = decide(
            bundle,
            bars,
            data.actions,
            series,
            held,
            session,
            names,
            memory.states,
            memory.carried,
            memory.forecast_state,
            is_first_of_week,
        )
        remembered = memory.to_summary(decision.carried, decision.forecast_state)
        return replace(narrow_decision(decision, symbols), remembered=remembered)

    return decide_now
