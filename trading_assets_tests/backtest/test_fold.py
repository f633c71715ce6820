"""One fold traded with everything that is compared, and what is left out of it."""

from dataclasses import fields, replace
from datetime import timedelta
from functools import cache

import polars as pl
import pytest

from trading_assets.backtest import fold as fold_module
from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.engine import BacktestTables
from trading_assets.backtest.fold import FoldBacktest, backtest_fold
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.matched_control import ControlledBacktest
from trading_assets.backtest.track_record import expected_portfolios
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables
from trading_assets.policy.reference_names import REFERENCES
from trading_assets.schema import TABLES
from trading_assets_tests.policy.tasks import SYMBOLS, make_policy, make_strategy, make_tables
from trading_assets_tests.simulation.markets import FIRST, make_bars, random_market

SPEC = MarketDataSpec.model_validate(
    {"source": {"kind": "sample"}, "universe": SYMBOLS, "start": FIRST}
)
BARS, PAST = 350, 270


@cache
def backtest(agents: tuple[str, ...] = ("ppo",), past: int = PAST) -> FoldBacktest:
    """A fold of untrained policies with so many sessions of bars before it."""
    strategy = make_strategy(policy={"agents": {agent: {"seeds": 2} for agent in agents}})
    market = random_market(BARS)
    columns = dict(enumerate(SYMBOLS))
    bars = make_bars(
        {name: market.close[:, column].tolist() for column, name in columns.items()},
        {name: market.open[:, column].tolist() for column, name in columns.items()},
    )
    start = FIRST + timedelta(days=PAST)
    fold = Fold("2020-01-01", FIRST, start, FIRST, start, FIRST + timedelta(days=BARS - 1))
    features, forecasts = make_tables(market)
    first = start - timedelta(days=past)
    tables = TrainingTables(
        bars.filter(pl.col("session") >= first),
        TABLES["corporate_actions"].empty(),
        features,
        forecasts,
    )
    seeds = {
        agent: [
            replace(make_policy(strategy, seed=seed + 7 * place), seed=seed) for seed in range(2)
        ]
        for place, agent in enumerate(agents)
    }
    found = backtest_fold(tables, seeds, fold, strategy, SPEC)
    # None was fitted.
    expected = set(expected_portfolios(strategy.policy)) - set(REFERENCES)
    assert set(found.tables.equity["portfolio"]) == expected - set(found.absences)
    return found


def equity_of(found: FoldBacktest, portfolio: str) -> pl.DataFrame:
    return found.tables.equity.filter(pl.col("portfolio") == portfolio).sort("session")


def test_a_fold_holds_all_that_a_report_expects():
    found = backtest()
    assert found.absences == {}
    assert set(BASELINES) <= set(found.sharpe_annual) == set(found.max_drawdown)
    assert found.accounting == []
    assert found.parity == []


@pytest.mark.parametrize("table", ["weights", "trades", "equity"])
def test_tables_are_in_order_of_portfolios(table: str):
    names = getattr(backtest().tables, table)["portfolio"]
    assert names.is_sorted()
    days = equity_of(backtest(), "random")["session"]
    assert days.is_sorted()
    assert len(days) == BARS - PAST


@pytest.mark.parametrize(
    ("agents", "deployed"), [(("ppo",), "ppo/ensemble"), (("a2c", "ppo"), "ensemble")]
)
def test_the_random_portfolio_trades_as_much_as_the_deployed_one(agents, deployed):
    found = backtest(agents)
    other = {
        name: equity_of(found, name)["turnover"].sum()
        for name in found.tables.equity["portfolio"].unique()
    }
    assert other["random"] == pytest.approx(other[deployed], rel=0.02)
    for name in {f"{agent}/ensemble" for agent in agents} - {deployed}:
        assert other["random"] != pytest.approx(other[name], rel=0.02)


def test_a_fold_without_a_year_of_bars_leaves_rules_out_and_says_why():
    found = backtest(past=91)
    left = {"buy_and_hold", "cash", "equal_weight", "random"}
    assert set(found.absences) == set(BASELINES) - left
    start = FIRST + timedelta(days=PAST)
    assert set(found.absences.values()) == {
        f"90 of the 126 sessions of returns that are needed lie before {start}"
    }
    assert left < set(found.sharpe_annual)
    assert not set(found.absences) & set(found.sharpe_annual)
    for name in ("weights", "trades", "equity"):
        portfolios = set(getattr(found.tables, name)["portfolio"])
        assert not set(found.absences) & portfolios


def test_a_control_that_lost_everything_has_no_figures(monkeypatch: pytest.MonkeyPatch):
    trade = fold_module.backtest_with_control
    why = {"random": "it lost all its equity within the fold"}

    def ruin(*arguments):
        tables = trade(*arguments).tables
        kept = (
            getattr(tables, part.name).filter(pl.col("portfolio") != "random")
            for part in fields(tables)
        )
        return ControlledBacktest(BacktestTables(*kept), why)

    monkeypatch.setattr(fold_module, "backtest_with_control", ruin)
    found = backtest.__wrapped__()
    assert found.absences == why
    assert "random" not in found.sharpe_annual
    assert found.parity == []


def test_bars_before_the_year_that_rules_look_back_on_change_no_rule():
    full, year = backtest(), backtest(past=254)
    for name in BASELINES:
        if name != "random":
            # Costs by volatility, an average over all bars, differ in their last digits.
            assert equity_of(full, name)["turnover"].to_numpy() == pytest.approx(
                equity_of(year, name)["turnover"].to_numpy(), rel=1e-6
            )
