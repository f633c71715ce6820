"""Evaluation accounts: what ends them, what passes them, and on which day."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.backtest.prop_firm import (
    judge_runs,
    resampled_runs,
    runs_from_every_day,
)
from trading_assets.prop_firm_specs import PropFirmSpec
from trading_assets.strategy import Strategy
from trading_assets_tests.backtest.markets import strategy_of

RULES = {
    "max_daily_loss": 0.05,
    "max_total_loss": 0.1,
    "profit_target": 0.08,
    "minimum_days": 0,
    "days_allowed": 4,
}


def rules(**changes) -> PropFirmSpec:
    return PropFirmSpec.model_validate({**RULES, **changes})


def ends_of(equity, **changes) -> str:
    """How one account ends whose equity at closes is given, from 1 on."""
    path = np.array([1.0, *equity])
    returns = (path[1:] / path[:-1] - 1.0)[None]
    found = judge_runs(returns, rules(days_allowed=len(equity), **changes))
    shares = {name: getattr(found, name) for name in
              ("passed", "daily_loss", "total_loss", "out_of_time")}  # fmt: skip
    assert sum(shares.values()) == pytest.approx(1.0)
    return max(shares, key=shares.__getitem__)


@pytest.mark.parametrize(
    ("equity", "changes", "expected"),
    [
        ((1.02, 1.05, 1.08, 1.0), {}, "passed"),
        ((1.02, 1.05, 1.07, 1.0), {"max_daily_loss": 0.08}, "out_of_time"),
        ((1.02, 0.97, 1.1, 1.2), {}, "daily_loss"),
        ((0.96, 0.93, 0.9, 1.2), {}, "total_loss"),
        ((0.96, 0.93, 0.901, 0.93), {}, "out_of_time"),
        # A day's loss counts by the starting equity, not by that of the day.
        ((1.04, 0.991, 1.0, 1.0), {}, "out_of_time"),
        # Of both at one close the daily one counts.
        ((0.96, 0.92, 0.87, 1.2), {"max_daily_loss": 0.05}, "daily_loss"),
        ((1.06, 1.02, 0.98, 0.95), {"total_loss": "trailing"}, "total_loss"),
        ((1.06, 1.02, 0.98, 0.95), {"total_loss": "static"}, "out_of_time"),
        ((1.09, 1.05, 1.01, 1.0), {"minimum_days": 1}, "passed"),
        ((1.09, 1.05, 1.01, 1.0), {"minimum_days": 2}, "out_of_time"),
        ((1.09, 1.05, 1.08, 1.0), {"minimum_days": 2}, "passed"),
        # Once it has passed, later losses no longer count.
        ((1.09, 0.5, 0.4, 0.3), {}, "passed"),
    ],
)
def test_an_account_ends_as_worked_out_by_hand(equity, changes, expected):
    assert ends_of(equity, **changes) == expected


def test_the_median_is_of_days_to_pass():
    paths = np.array([[0.09, 0, 0, 0], [0, 0.09, 0, 0], [0, 0, 0, 0.09], [0, 0, 0, 0]])
    found = judge_runs(paths, rules())
    assert (found.runs, found.passed, found.out_of_time) == (4, 0.75, 0.25)
    assert found.median_days == 2.0


def test_no_run_gives_no_share():
    found = judge_runs(np.empty((0, 4)), rules())
    assert found.runs == 0
    assert math.isnan(found.passed)
    assert math.isnan(judge_runs(np.zeros((2, 4)), rules()).median_days)


@given(seed=st.integers(0, 1000), trailing=st.booleans())
def test_shares_sum_to_one_and_a_laxer_rule_ends_fewer(seed, trailing):
    returns = np.random.default_rng(seed).normal(0.001, 0.02, (50, 4))
    kind = "trailing" if trailing else "static"
    strict = judge_runs(returns, rules(total_loss=kind))
    lax = judge_runs(returns, rules(total_loss=kind, max_total_loss=0.2, max_daily_loss=0.19))
    for found in (strict, lax):
        total = found.passed + found.daily_loss + found.total_loss + found.out_of_time
        assert total == pytest.approx(1.0)
    assert lax.passed >= strict.passed
    assert lax.daily_loss <= strict.daily_loss


def test_runs_start_at_every_session_that_leaves_enough():
    runs = runs_from_every_day(np.arange(6.0), 4)
    assert runs.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    assert runs_from_every_day(np.arange(3.0), 4).shape == (0, 4)


def test_resampled_runs_are_the_beginnings_of_resampled_records():
    positions = np.array([[3, 4, 0, 1, 2], [1, 2, 3, 4, 0]])
    assert resampled_runs(np.arange(5.0), positions, 3).tolist() == [[3, 4, 0], [1, 2, 3]]
    assert resampled_runs(np.arange(2.0), positions, 3).shape == (0, 3)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_daily_loss": 0.2}, "max_daily_loss was 0.2 with max_total_loss 0.1; expected at"),
        ({"minimum_days": 5}, "minimum_days was 5 with days_allowed 4; expected at most as many"),
        ({"max_daily_loss": 0}, "greater than 0"),
        ({"max_total_loss": 1}, "less than 1"),
        ({"profit_target": 0}, "greater than 0"),
        ({"total_loss": "intraday"}, "static"),
        ({"days_allowed": 0}, "greater than or equal to 1"),
        ({"leverage": 2}, "Extra inputs"),
    ],
)
def test_rules_that_cannot_hold_are_refused(changes, problem):
    with pytest.raises(ValidationError, match=problem):
        rules(**changes)


def test_rules_are_declared_with_the_backtest_and_optional():
    assert strategy_of().backtest.prop_firm is None
    found: Strategy = strategy_of(backtest={"prop_firm": RULES})
    assert found.backtest.prop_firm == rules()
    assert strategy_of().backtest.stress_paths == 20
    with pytest.raises(ValidationError, match="stress_paths"):
        strategy_of(backtest={"stress_paths": -1})
