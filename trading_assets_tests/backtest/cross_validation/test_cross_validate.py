"""Paths of a world whose optimum is known, and of one without anything to know."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.combinatorial_splits import count_paths
from trading_assets.backtest.cross_validation import cross_validate as module
from trading_assets.backtest.cross_validation.cross_validate import CrossValidation
from trading_assets.backtest.cross_validation.divided_market import divide_market
from trading_assets.backtest.cross_validation.group_trading import trade_paths
from trading_assets.backtest.cross_validation.split_fit import fit_split
from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.backtest.net_returns import net_returns
from trading_assets.backtest.path_figures import PathFigures, ValidatedPaths, measure_paths
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.errors import DataError
from trading_assets.policy.references import teacher_decision
from trading_assets.policy.teachers import ExpectedReturns, cost_aware_teacher
from trading_assets.schema import column_problems
from trading_assets_tests.backtest.cross_validation.known_world import (
    START,
    validate_world,
    world_of,
    world_strategy,
    world_tables,
)

LAST = date(2020, 12, 31)
FOUR = CrossValidationSpec(groups=4, test_groups=2)
POLICIES = ("garleanu_pedersen", "logistic_rule")


def figures_of(found: CrossValidation) -> PathFigures:
    return measure_paths(
        ValidatedPaths(found.returns, found.forecasts, found.absences, found.facts)
    )


@pytest.fixture(scope="module")
def informed() -> CrossValidation:
    return validate_world(world_of(0.3), LAST)


def test_each_path_has_each_session_once_and_a_group_of_it_one_split(informed: CrossValidation):
    table = informed.returns
    assert column_problems("cross_validated_returns", table) == []
    assert column_problems("cross_validated_forecasts", informed.forecasts) == []
    sessions = world_tables(world_of(0.3), LAST).bars["session"].to_list()[1:]
    for policy in POLICIES:
        for path in range(1, 6):
            is_own = (pl.col("portfolio") == policy) & (pl.col("path") == path)
            own = table.filter(is_own)
            assert own["session"].to_list() == sessions
            by_group = own.select("group", "split").unique()
            assert sorted(by_group["group"].to_list()) == [1, 2, 3, 4, 5, 6]
            for group, split in by_group.iter_rows():
                assert group in informed.facts["splits"][split - 1]["test_groups"]
    tested = table.filter(pl.col("portfolio") == POLICIES[0]).select("split", "group").unique()
    assert tested.height == 30  # 15 splits test two groups each
    baselines = table.filter(pl.col("path") == 0)
    assert baselines["portfolio"].unique().sort().to_list() == [
        "buy_and_hold",
        "cash",
        "equal_weight",
    ]
    # Every path is forecast by fits of its own.
    assert informed.forecasts["log_loss"].n_unique() == 5
    assert informed.reaching == []


def test_a_group_on_a_path_is_the_backtest_of_its_split_from_cash(informed: CrossValidation):
    market_data, strategy = world_of(0.3), world_strategy()
    divided = divide_market(
        world_tables(market_data, LAST), (START, LAST), strategy, market_data, CrossValidationSpec()
    )
    split = divided.splits.splits[7]
    assert split.test_groups == (1, 4)
    fit = fit_split(divided, split)
    assert fit.expected is not None
    teach = cost_aware_teacher(divided.task, fit.expected, fit.trade_aversion, looks_ahead=True)
    for group in split.test_groups:
        days = divided.splits.groups[group]
        before = days[0] - timedelta(days=1)
        fold = Fold("g", before, before, before, days[0], days[-1])
        tables = run_backtest(
            divided.market, {"own": teacher_decision(divided.task, teach)}, strategy, fold
        )
        sessions, returns = net_returns(tables.equity, "own", 1_000_000.0)
        own = informed.returns.filter(
            (pl.col("portfolio") == "garleanu_pedersen")
            & (pl.col("split") == 8)
            & (pl.col("group") == group + 1)
        )
        assert own["session"].to_list() == list(days) == sessions.astype(date).tolist()
        assert own["net_return"].to_list() == returns.tolist()
        assert (own["path"] == divided.splits.path_of(split, group) + 1).all()


def test_a_known_signal_is_found_on_every_path_and_near_its_optimum(informed: CrossValidation):
    found = figures_of(informed)
    baseline = found.baselines["equal_weight"]
    for policy in POLICIES:
        own = found.policies[policy]
        assert own.sharpe_annual.minimum > baseline
        assert (own.paths_above_baseline, own.share_above_baseline) == (5, 1.0)
    best = optimum_sharpe(0.3)
    assert best > 2.0
    # Estimates from two years of bars lose some of it.
    fitted = found.policies["garleanu_pedersen"].sharpe_annual
    assert 0.85 * best < fitted.minimum
    assert fitted.maximum < 1.05 * best
    assert found.forecasts is not None
    # Pearson's coefficient of the forecasts is that of the signal, within two errors of 0.037.
    assert found.forecasts.ic.median == pytest.approx(0.3 / math.sqrt(1 + 0.3**2), abs=0.075)
    assert found.forecasts.log_loss_gain.minimum > 0.0
    # Terciles are equally frequent: ln 3, but for what tested groups differ.
    shares = informed.forecasts["log_loss_of_shares"].to_numpy()
    assert shares == pytest.approx(math.log(3.0), abs=0.01)


def optimum_sharpe(information_coefficient: float) -> float:
    """Return the annual Sharpe ratio of the best policy, which knows the world's parameters."""
    market_data = world_of(information_coefficient)
    tables = world_tables(market_data, LAST)
    divided = divide_market(
        tables, (START, LAST), world_strategy(), market_data, CrossValidationSpec()
    )
    known = ExpectedReturns(np.array([information_coefficient]), np.array([0.9]))
    teach = cost_aware_teacher(divided.task, known, 250.0, looks_ahead=True)
    decide = teacher_decision(divided.task, teach)
    splits = {split.number: decide for split in divided.splits.splits}
    own = trade_paths(divided, {"optimum": splits}).returns.filter(
        (pl.col("portfolio") == "optimum") & (pl.col("path") == 1)
    )
    return sharpe_annual(own["net_return"].to_numpy())


def test_without_a_signal_paths_scatter_around_the_baseline():
    above: list[float] = []
    differences: list[float] = []
    gains: list[float] = []
    seeds = range(8)
    for seed in seeds:
        found = figures_of(
            validate_world(
                world_of(0.0, seed),
                LAST,
                CrossValidationSpec(groups=4, test_groups=2, policies=("logistic_rule",)),
            )
        )
        own = found.policies["logistic_rule"]
        ratios = np.array(own.sharpe_annual.paths)
        differences.append(float(ratios.mean()) - found.baselines["equal_weight"])
        above += [float(ratio > found.baselines["equal_weight"]) for ratio in ratios]
        assert found.forecasts is not None
        gains.append(found.forecasts.log_loss_gain.median)
    # A Sharpe ratio of three years has an error of 0.58, a difference of two 0.82.
    assert abs(np.mean(differences)) < 2.0 * 0.82 / math.sqrt(len(seeds))
    assert 0.2 < np.mean(above) < 0.8
    assert np.mean(gains) < 0.001


def test_equal_weights_earn_the_market_but_for_its_first_trade(informed: CrossValidation):
    """One symbol at the constant notional: each group's gain is that of one bar after the other."""
    bars = world_tables(world_of(0.3), LAST).bars
    returns = dict(
        zip(bars["session"].to_list(), (bars["close"] / bars["close"].shift(1) - 1.0), strict=True)
    )
    own = informed.returns.filter(pl.col("portfolio") == "equal_weight")
    group = own.filter(pl.col("group") == 3)
    equity = 1_000_000.0 * (1.0 + group["net_return"].to_numpy()).cumprod()
    gains = np.diff(equity)
    expected = [1_000_000.0 * returns[day] for day in group["session"].to_list()[1:]]
    # Shares are bought anew for the constant notional: a cost of (lam / 2) sigma^2 dx^2, dx ~ 1 %.
    assert gains == pytest.approx(expected, abs=0.5 * 250 * 1e-4 * 0.05**2 * 1_000_000.0)


def test_the_same_tables_give_the_same_paths(informed: CrossValidation):
    again = validate_world(world_of(0.3), LAST)
    assert again.returns.equals(informed.returns)
    assert again.forecasts.equals(informed.forecasts)
    assert again.facts == informed.facts


def test_what_lies_after_the_last_day_changes_nothing():
    market_data, until = world_of(0.3), date(2020, 6, 30)
    whole, cut = world_tables(market_data, LAST), world_tables(market_data, until)
    one, other = (validate_world(market_data, until, FOUR, tables) for tables in (whole, cut))
    assert one.returns.equals(other.returns)
    assert one.forecasts.equals(other.forecasts)
    assert one.returns["session"].max() == until


def test_facts_say_how_sessions_were_cut_and_what_was_left_out(informed: CrossValidation):
    facts = informed.facts
    assert facts["forecaster"] == "logistic"
    assert (facts["horizon_bars"], facts["embargo_sessions"], facts["paths"]) == (1, 8, 5)
    # 756 sessions of three years, the first of which is decided at only.
    assert sum(group["sessions"] for group in facts["groups"]) == 755
    assert facts["groups"][0] == {"first": "2018-01-03", "last": "2018-07-03", "sessions": 126}
    assert facts["groups"][-1]["last"] == "2020-12-31"
    first = facts["splits"][0]
    assert first["test_groups"] == [1, 2]
    # Four groups are fitted on, less a label and the embargo after the second.
    assert first["train_sessions"] == 755 - 2 * 126 - 1 - 8


def test_a_policy_without_inputs_is_absent_with_its_reason_and_the_others_are_traded():
    policy = {**world_strategy().policy.model_dump(), "observed_features": []}
    found = validate_world(world_of(0.3), LAST, FOUR, policy=policy)
    assert "the policy observes no features or forecasts" in found.absences["garleanu_pedersen"]
    assert found.absences["garleanu_pedersen"].startswith("split 1: ")
    assert set(found.returns["portfolio"]) == {
        "buy_and_hold",
        "cash",
        "equal_weight",
        "logistic_rule",
    }
    assert set(figures_of(found).policies) == {"logistic_rule"}


def test_without_a_forecaster_no_forecast_and_no_rule_is_on_a_path(
    monkeypatch: pytest.MonkeyPatch,
):
    def refuse(*_: object):
        msg = "too few"
        raise DataError(msg)

    monkeypatch.setattr("trading_assets.backtest.cross_validation.split_fit.fit_forecaster", refuse)
    found = validate_world(world_of(0.3), LAST, FOUR)
    assert found.absences["forecaster"] == found.absences["logistic_rule"] == "split 1: too few"
    assert found.forecasts.height == 0
    assert figures_of(found).forecasts is None
    assert set(figures_of(found).policies) == {"garleanu_pedersen"}


def test_a_policy_that_loses_everything_has_no_path(monkeypatch: pytest.MonkeyPatch):
    real = module.teacher_decision
    made: list[int] = []

    def ruined(task, teach):
        made.append(1)
        decide = real(task, teach)
        return (
            (lambda row, books: 1e4 * (1 - 2 * (row % 2)) + decide(row, books))
            if len(made) == 1
            else decide
        )

    monkeypatch.setattr(module, "teacher_decision", ruined)
    found = validate_world(
        world_of(0.3), LAST, FOUR, risk={"max_weight": 100.0, "max_gross": 100.0}
    )
    assert found.absences["garleanu_pedersen"] == ("split 1: it loses all its equity in group 2")
    assert "garleanu_pedersen" not in set(found.returns["portfolio"])
    assert "logistic_rule" in set(found.returns["portfolio"])


def test_days_without_sessions_are_refused():
    market_data = world_of(0.3)
    tables = world_tables(market_data, LAST)
    with pytest.raises(DataError, match=r"^0 sessions with bars lie from 2030-01-01 to 2030-12-31"):
        divide_market(
            tables, (date(2030, 1, 1), date(2030, 12, 31)), world_strategy(), market_data, FOUR
        )
    with pytest.raises(DataError, match=r"^3 sessions were to be cut into 4 groups"):
        divide_market(tables, (START, date(2018, 1, 5)), world_strategy(), market_data, FOUR)


def test_a_spread_is_of_all_paths_and_ratios_are_those_of_their_returns(
    informed: CrossValidation,
):
    found = figures_of(informed).policies["logistic_rule"]
    assert len(found.sharpe_annual.paths) == count_paths(CrossValidationSpec())
    third = informed.returns.filter(
        (pl.col("portfolio") == "logistic_rule") & (pl.col("path") == 3)
    )
    assert found.sharpe_annual.paths[2] == sharpe_annual(third["net_return"].to_numpy())
    ordered = sorted(found.sharpe_annual.paths)
    spread = found.sharpe_annual
    assert [spread.minimum, spread.median, spread.maximum] == [ordered[0], ordered[2], ordered[4]]
