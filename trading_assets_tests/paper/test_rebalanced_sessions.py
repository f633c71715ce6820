"""Training, both backtests and paper sessions hold the same trades back, each by its own code."""

from datetime import UTC, date, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.engine import fixed_targets, run_backtest
from trading_assets.backtest.vectorised import trade_weights
from trading_assets.bars.calendars.weeks import begins_week, ends_week
from trading_assets.bars.sources.sample import SampleBars
from trading_assets.governance.succession import choose_champion
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.paper.trading import SessionData, trade_session
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import Decision, decide_by_fallback
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.observation import PolicyView
from trading_assets.schema import TABLES
from trading_assets.simulation.compiled.layout import EQUITY
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.governance.test_succession import challenger_files
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    SYMBOLS,
    StoppedClock,
    concatenated,
    make_inputs,
    make_market,
    make_strategy,
    session_at,
)
from trading_assets_tests.paper.four_ways import WAYS, lengthened, stepped_equity, whole_fold
from trading_assets_tests.policy.tasks import make_policy

CENT_USD = 0.01
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def band(width: float, trade_to: str) -> dict[str, Any]:
    return {"kind": "no_trade_band", "band": width, "trade_to": trade_to}


RULES: dict[str, Any] = {
    "weekly": "weekly",
    "to the edge": band(0.08, "edge"),
    "to the target": band(0.08, "target"),
}
LIMITS: dict[str, dict[str, Any]] = {
    "a box": {},
    "every limit": {"max_gross": 0.7, "max_net": 0.6, "max_turnover": 0.5},
}


def declared(rule: str, limits: str = "a box") -> Strategy:
    risk = {"max_weight": 0.5, "max_order_notional_usd": 2_000_000, **LIMITS[limits]}
    return make_strategy(rebalance=RULES[rule], risk=risk)


def drawn_shares(market: Market, seed: int = 5) -> np.ndarray:
    """Weights for each row as parts of `max_weight`, which actions stand for to the bit."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 33, (len(market.sessions), 3)) / 64


class PaperSessions:
    """Sessions of an account whose fallback wants drawn weights."""

    def __init__(self, market: Market, strategy: Strategy, patch: pytest.MonkeyPatch) -> None:
        self.market, self.strategy = market, strategy
        self.decisions: list[Decision] = []
        self._wanted = drawn_shares(market) * strategy.risk.max_weight
        self._row = 0
        rows = [
            {"symbol": symbol, "session": session_at(market, row)}
            for row, column in zip(*np.nonzero(np.isfinite(market.close)), strict=True)
            for symbol in (SYMBOLS[column],)
        ]
        self._bars = pl.DataFrame(rows)
        patch.setattr(
            "trading_assets.policy.decision.fallback_weights",
            lambda rule, tradable: self._wanted[self._row],
        )

    def decide(self, held: Any, session: date, before: Any) -> Decision:
        day = np.datetime64(session, "D")
        self._row = int(np.searchsorted(self.market.sessions, day))
        rules = declared_rules(self.strategy, SYMBOLS)
        is_first = begins_week(CALENDAR, CALENDAR.next_session(session))
        decided = decide_by_fallback("cash", rules, self._bars, held, session, is_first)
        self.decisions.append(decided)
        return decided

    def run(self, folder: Path) -> list[SessionRecord]:
        records: list[SessionRecord] = []
        for row in range(2, len(self.market.sessions)):
            previous = None
            if records:
                previous = SessionRecord.from_files(records[-1].tables, records[-1].to_files())
            inputs = make_inputs(
                folder,
                self.market,
                session_at(self.market, row),
                previous,
                strategy=self.strategy,
                decide=self.decide,
            )
            records.append(run_session(inputs))
        return records


def stepped(market: Market, strategy: Strategy) -> np.ndarray:
    longer = lengthened(market)
    context = np.zeros((len(longer.sessions), 1), dtype=np.float32)
    weeks = ends_week(longer.sessions)
    rules = declared_rules(strategy, SYMBOLS)
    view = PolicyView(rules, context, longer.tradable, begins_week=weeks)
    actions = 2.0 * drawn_shares(market)[1:-1] - 1.0
    return stepped_equity(market, strategy, view, actions)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("rule", RULES)
def test_four_ways_of_holding_back_agree_to_the_cent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, limits: str
) -> None:
    market, strategy = make_market(30), declared(rule, limits)
    fold, rows = whole_fold(market), range(1, len(market.sessions) - 1)
    wanted = drawn_shares(market)[1:-1] * strategy.risk.max_weight
    decided = {"a": fixed_targets(market, fold, wanted)}
    tables = run_backtest(market, decided, strategy, fold)
    recorded = tables.weights.sort("session", "symbol")["weight"].to_numpy().reshape(-1, 1, 3)
    at_once = trade_weights(market, ["a"], recorded, rows, strategy)
    paper = PaperSessions(market, strategy, monkeypatch)
    records = paper.run(tmp_path)
    found = (
        stepped(market, strategy),
        at_once.outcomes[:, 0, EQUITY],
        tables.equity["equity_usd"].to_numpy(),
        np.array([float(record.tables["account"]["equity_usd"][0]) for record in records]),
    )
    for (one, first), (other, second) in combinations(zip(WAYS, found, strict=True), 2):
        np.testing.assert_allclose(
            first, second, rtol=0, atol=CENT_USD, err_msg=f"{one} against {other}"
        )
    weights = np.array([decision.weights for decision in paper.decisions])
    np.testing.assert_allclose(recorded[:, 0], weights, rtol=0, atol=1e-9)
    # What a rule leaves alone is left alone to the smallest part of a share.
    every = run_backtest(market, decided, declared_every_bar(limits), fold)
    assert 0 < len(tables.trades) < len(every.trades)
    assert len(concatenated(records, "fills")) == len(
        tables.trades.filter(pl.col("quantity") != 0.0)
    )
    names = "+".join(name for each in paper.decisions for name in each.binding_limits)
    assert "rebalance" in names.split("+")


def declared_every_bar(limits: str) -> Strategy:
    return declared("weekly", limits).model_copy(update={"rebalance": make_strategy().rebalance})


def test_an_environment_that_applies_a_band_twice_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market, strategy = make_market(20), declared("to the edge")
    once = stepped(market, strategy)
    apply = PolicyView._rebalance

    def twice(view: PolicyView, decided: Any, rows: Any, held: Any) -> Any:
        return apply(view, apply(view, decided, rows, held), rows, held)

    monkeypatch.setattr(PolicyView, "_rebalance", twice)
    assert np.abs(stepped(market, strategy) - once).max() > 1.0


MARKET_DATA = MarketDataSpec.model_validate(
    {
        "source": {"kind": "sample"},
        "universe": ["IBM", "MSFT"],
        "start": "2012-06-01",
        "end": "2012-12-31",
    }
)
STOCKS: dict[str, Any] = {
    "market_data": "stocks",
    "features": {"names": ["log_return_1", "log_return_5"], "scale_bars": 20},
    "policy": {
        "agents": {"ppo": {"seeds": 2}},
        "observed_features": ["log_return_1", "log_return_5"],
        "uses_forecasts": False,
        "fallback": "equal_weight",
    },
    "folds": {"first": "2012-01-01"},
    # Wide enough that no drift breaks a limit, which is brought back in any session.
    "risk": {"max_weight": 1.0, "max_gross": 1.0},
}


@pytest.mark.parametrize("who", ["champion", "fallback"])
def test_a_weekly_account_sends_orders_in_the_first_session_of_a_week_alone(
    who: str, tmp_path: Path
) -> None:
    from trading_assets.bars.actions.derived import derive_actions

    strategy = Strategy.model_validate({**STOCKS, "rebalance": "weekly"})
    fetched = SampleBars(MARKET_DATA, CALENDAR).fetch(date(2012, 6, 1), date(2012, 12, 31), NOW)
    bars, actions = (
        fetched.rows.select(TABLES["validated_bars"].names),
        derive_actions(fetched.rows),
    )
    champion: dict[str, bytes] = {}
    if who == "champion":
        names = ("log_return_1", "log_return_5")
        members = [make_policy(strategy, ("IBM", "MSFT"), seed) for seed in (8, 9)]
        passed = challenger_files(
            Bundle.from_parts(strategy, names, None, {"ppo": members}), passes=True
        )
        champion = choose_champion({}, passed, date(2012, 11, 1), "cash", NOW).to_files()
    previous, sent = None, dict[date, int]()
    # From a Thursday on, whose week has begun.
    for session in CALENDAR.sessions(date(2012, 11, 1), date(2012, 11, 14)):
        data = SessionData(
            session=session,
            bars=bars,
            actions=actions,
            series=TABLES["series"].empty(),
            champion=champion,
            previous=previous,
            stored=None,
            account=AccountFolder.on_disk(tmp_path, StoppedClock(NOW)),
            credentials={},
            clock=StoppedClock(NOW),
        )
        record = trade_session("stocks", strategy, MARKET_DATA, data)
        sent[session] = len(record.tables["orders"])
        previous = SessionRecord.from_files(record.tables, record.to_files())
    assert {day for day, count in sent.items() if count} == {date(2012, 11, 5), date(2012, 11, 12)}
