from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.backtest.strategy_comparison import StrategyRecord, compare_strategies
from trading_assets.errors import DataError
from trading_assets_tests.backtest.test_report import KEYS, declared, fold_record, without


def recorded(name: str, skill: float, keys=KEYS) -> StrategyRecord:
    return StrategyRecord(name, declared(), [fold_record(key, skill) for key in keys])


def test_the_better_strategy_is_told_from_the_worse_whichever_comes_first():
    good, bad = recorded("good", 0.55), recorded("bad", 0.0)
    found = compare_strategies(good, bad)
    assert found.sentence.startswith("good (ppo/ensemble) does better than bad (ppo/ensemble): ")
    again = compare_strategies(bad, good)
    assert again.sentence.startswith("bad (ppo/ensemble) does worse than good (ppo/ensemble): ")
    assert again.found.difference == pytest.approx(-found.found.difference)
    assert again.correlation == pytest.approx(found.correlation)


def test_a_strategy_cannot_be_told_from_itself():
    found = compare_strategies(recorded("one", 0.1), recorded("other", 0.1))
    assert found.found.difference == 0.0
    assert "cannot be told apart" in found.sentence
    assert found.correlation == pytest.approx(1.0)


def test_figures_are_over_the_common_sessions_alone():
    whole, part = recorded("whole", 0.3), recorded("part", 0.1, KEYS[:1])
    found = compare_strategies(whole, part)
    equity = fold_record(KEYS[0], 0.3).tables.equity
    mine = equity.filter(pl.col("portfolio") == "ppo/ensemble").sort("session")["equity_usd"]
    values = np.concatenate([[1e6], mine.to_numpy()])
    assert found.found.bars == len(mine)
    assert found.figures[0]["sharpe_annual"] == pytest.approx(
        sharpe_annual(values[1:] / values[:-1] - 1.0)
    )
    assert len(found.records[0].returns) == len(found.records[1].returns) == len(mine)


def test_folds_that_one_of_the_two_lacks_are_named_whichever_comes_first():
    whole, part = recorded("whole", 0.3), recorded("part", 0.1, KEYS[:1])
    named = ("part lacks fold 2020-04-01 of whole, which is left out.",)
    assert compare_strategies(whole, part).left_out == named
    assert compare_strategies(part, whole).left_out == named
    assert compare_strategies(whole, whole).left_out == ()


def test_a_fold_whose_portfolio_is_incomplete_is_named_with_the_reason():
    whole = recorded("whole", 0.3)
    bare = StrategyRecord(
        "bare", declared(), [whole.folds[0], without(whole.folds[1], "ppo/ensemble")]
    )
    assert compare_strategies(whole, bare).left_out == (
        "bare lacks fold 2020-04-01 of whole, which is left out.",
        "bare lacks fold 2020-04-01: the fold has no such portfolio.",
    )


def test_a_fold_that_is_shared_in_part_is_named_with_its_sessions():
    whole = recorded("whole", 0.3)
    first, second = whole.folds
    equity = second.tables.equity
    kept = equity["session"].unique().sort()[:10]
    tables = replace(second.tables, equity=equity.filter(pl.col("session").is_in(kept.implode())))
    part = StrategyRecord("part", declared(), [first, replace(second, tables=tables)])
    sessions = equity["session"].n_unique()
    assert compare_strategies(whole, part).left_out == (
        f"part has 10 of the {sessions} sessions of fold 2020-04-01 of whole; the others are left"
        " out.",
    )


def test_strategies_without_a_common_session_are_refused():
    first, second = recorded("first", 0.1, KEYS[:1]), recorded("second", 0.1, KEYS[1:])
    with pytest.raises(DataError, match="first and second have 0 tested sessions in common"):
        compare_strategies(first, second)


def test_several_agents_are_compared_by_what_is_deployed():
    policy = declared().policy
    agents = {"ppo": policy.agents["ppo"], "a2c": policy.agents["ppo"]}
    two = declared().model_copy(update={"policy": policy.model_copy(update={"agents": agents})})
    assert replace(recorded("two", 0.1), strategy=two).portfolio == "ensemble"
