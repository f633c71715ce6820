import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.ablation import find_unlike, trade_arms, window_sessions
from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.fold_ablation import ARMS, CARD_FILE, WITH, WITHOUT, FoldAblation
from trading_assets.backtest.forecast_effect import measure_effect, pair_arms
from trading_assets.errors import DataError
from trading_assets.policy.fold import TrainingTables
from trading_assets.policy.rollout import build_task, policy_decision
from trading_assets_tests.backtest.planted_forecasts import (
    STRATEGY,
    ablate,
    agent_of,
    lay_market,
    plant,
    train_arms,
)

AGENT = agent_of(seeds=2)
JUDGEMENT = Judgement(1, None, 500, 0.95, 0)


@pytest.fixture(scope="module")
def helped():
    planted = plant(0.5)
    with pytest.MonkeyPatch.context() as patch:
        lay_market(patch, planted)
        arms = train_arms(planted, AGENT)
        traded = trade_arms(planted.tables, "mine", arms, planted.fold, STRATEGY, None)
    return planted, arms, traded


def effect_of(ablation):
    return measure_effect(pair_arms("mine", {"2021-01-01": ablation}), JUDGEMENT)


def test_planted_forecasts_that_help_add(helped):
    effect = effect_of(helped[2])
    assert effect.standing == "adds"
    assert effect.mean_return.low > 0.001
    assert effect.sharpe_annual.low > 1.0
    assert effect.share_of_seeds_better == 1.0


def test_planted_noise_makes_no_difference_in_most_markets(monkeypatch):
    standings = []
    for seed in range(4):
        planted = plant(0.0, seed)
        lay_market(monkeypatch, planted)
        effect = effect_of(ablate(planted, AGENT))
        standings.append(effect.standing)
        assert abs(effect.mean_return.difference) < 0.001
    assert standings.count("no_difference") >= 3


def test_both_arms_have_the_same_seeds_steps_and_sessions(helped):
    planted, arms, traded = helped
    assert {arm: [p.seed for p in arms[arm]] for arm in ARMS} == {WITH: [0, 1], WITHOUT: [0, 1]}
    assert traded.steps[WITH] == traded.steps[WITHOUT]
    assert set(traded.steps[WITH].values()) == {20_480}
    assert [p.rules.uses_forecasts for p in arms[WITH] + arms[WITHOUT]] == [True] * 2 + [False] * 2
    assert {p.rules.confidence_sizing for p in arms[WITHOUT]} == {"none"}
    for arm in ARMS:
        others = {"uses_forecasts": True, "confidence_sizing": "posterior_mean"}
        assert {replace(p.rules, **others) for p in arms[arm]} == {arms[WITH][0].rules}
    assert len(traded.table) == 2 * 2 * len(planted.test_days)
    assert find_unlike(traded, planted.test_days, AGENT) == []


def test_each_seed_of_the_declared_arm_earns_what_the_backtest_records(helped):
    planted, arms, traded = helped
    task = build_task(planted.market, planted.tables.features, planted.tables.forecasts, STRATEGY)
    decisions = {f"mine/seed-{p.seed}": policy_decision([p], task) for p in arms[WITH]}
    equity = run_backtest(planted.market, decisions, STRATEGY, planted.fold).equity
    for seed in (0, 1):
        recorded = equity.filter(pl.col("portfolio") == f"mine/seed-{seed}").sort("session")
        own = traded.table.filter((pl.col("arm") == WITH) & (pl.col("seed") == seed))
        grown = 1e6 * (1.0 + own["net_return"]).cum_prod()
        assert own["session"].to_list() == recorded["session"].to_list()
        assert grown.to_list() == pytest.approx(recorded["equity_usd"].to_list(), rel=1e-12)


def test_the_arm_without_forecasts_trades_alike_whatever_they_say(helped, monkeypatch):
    planted, arms, traded = helped
    lay_market(monkeypatch, planted)
    given = planted.tables
    scrambled = given.forecasts.with_columns(p_up=pl.col("p_down"), p_down=pl.col("p_up"))
    tables = TrainingTables(given.bars, given.actions, given.features, scrambled)
    other = trade_arms(tables, "mine", arms, planted.fold, STRATEGY, None).table
    for arm, is_same in ((WITHOUT, True), (WITH, False)):
        is_own = pl.col("arm") == arm
        assert other.filter(is_own).equals(traded.table.filter(is_own)) == is_same


def test_policies_of_other_symbols_are_refused(helped, monkeypatch):
    planted, arms, _ = helped
    lay_market(monkeypatch, planted)
    strangers = [replace(p, rules=replace(p.rules, symbols=("A", "B", "X"))) for p in arms[WITHOUT]]
    with pytest.raises(DataError, match="mine without forecasts was trained on A, B, X"):
        trade_arms(
            planted.tables, "mine", {**arms, WITHOUT: strangers}, planted.fold, STRATEGY, None
        )


def test_a_card_keeps_agent_and_steps(helped):
    _, _, traded = helped
    card = traded.to_card()
    again = FoldAblation.from_card(traded.table, card[CARD_FILE])
    assert (again.agent, again.steps) == (traded.agent, traded.steps)
    with pytest.raises(DataError, match="of an ablation lacks 'arms'"):
        FoldAblation.from_card(traded.table, b'{"agent":"mine"}')


def test_means_have_the_same_bits_in_every_run():
    # So many that threads divide a group otherwise in almost every run.
    n = 1_000_000
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {"arm": rng.choice(ARMS, n), "net_return": rng.normal(1e-4, 0.01, n)},
        schema={"arm": pl.String, "net_return": pl.Float64},
    )
    seen = {tuple(FoldAblation("mine", table, {}).means.items()) for _ in range(30)}
    assert len(seen) == 1
    (found,) = seen
    assert [arm for arm, _ in found] == [WITH, WITHOUT]
    for arm, mean in found:
        own = table.filter(pl.col("arm") == arm)["net_return"].to_numpy()
        assert mean == pytest.approx(own.mean(), rel=1e-12)


def without_rows(table, arm, seed, drop):
    is_own = (pl.col("arm") == arm) & (pl.col("seed") == seed)
    return table.filter(~(is_own & drop))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            lambda a, days: replace(
                a, table=without_rows(a.table, WITHOUT, 1, pl.col("session") == days[-1])
            ),
            "without forecasts, seed 1: 118 returns; expected one for each of 119 sessions",
        ),
        (
            lambda a, _: replace(a, table=without_rows(a.table, WITH, 0, pl.lit(value=True))),
            "with forecasts, seed 0: 0 returns; expected one for each of 119 sessions",
        ),
        (
            lambda a, days: replace(
                a,
                table=a.table.with_columns(
                    pl.when((pl.col("arm") == WITH) & (pl.col("session") == days[3]))
                    .then(float("nan"))
                    .otherwise("net_return")
                    .alias("net_return")
                ),
            ),
            "with forecasts, seed 0: 1 returns are not finite",
        ),
        (
            lambda a, _: replace(a, steps={**a.steps, WITH: {0: 20_480}}),
            "with forecasts: seeds were 0; expected 0, 1",
        ),
        (
            lambda a, _: replace(a, steps={**a.steps, WITHOUT: {0: 20_480, 1: 512}}),
            r"steps by seed were \{0: 20480, 1: 20480\} with and \{0: 20480, 1: 512\} without",
        ),
    ],
)
def test_arms_that_are_not_alike_are_told(helped, damage, found):
    planted, _, traded = helped
    problems = find_unlike(damage(traded, planted.test_days), planted.test_days, AGENT)
    assert any(re.search(found, problem) for problem in problems), problems


def test_arms_may_end_early_each_for_itself_where_patience_is_declared(helped):
    planted, _, traded = helped
    early = replace(traded, steps={**traded.steps, WITHOUT: {0: 20_480, 1: 512}})
    assert find_unlike(early, planted.test_days, AGENT.model_copy(update={"patience": 2})) == []


def test_the_sessions_of_a_window_are_those_that_have_bars(helped):
    planted = helped[0]
    assert window_sessions(planted.tables.bars, planted.fold) == planted.test_days
