from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from trading_assets.declarations import PACKAGED, read_declaration
from trading_assets.errors import DataError, DeclarationError
from trading_assets.policy.rollout import build_task, roll_rows
from trading_assets.simulation.rewards.composite import Composite
from trading_assets.simulation.rewards.declared import declared_reward, declared_trackers
from trading_assets.simulation.rewards.differential_sharpe import DifferentialSharpe
from trading_assets.simulation.rewards.log_wealth import LogWealth
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.rewards.multi_objective import MultiObjective
from trading_assets.simulation.rewards.penalised import Penalised
from trading_assets.simulation.rewards.penalties.drawdown import DrawdownPenalty
from trading_assets.simulation.rewards.penalties.expected_shortfall import ExpectedShortfallPenalty
from trading_assets.simulation.rewards.penalties.turnover import TurnoverPenalty
from trading_assets.simulation.rewards.penalties.value_at_risk import ValueAtRiskPenalty
from trading_assets.simulation.trackers.bars_since_trade import BarsSinceTrade
from trading_assets.simulation.trackers.differential_sharpe import SharpeMoments
from trading_assets.simulation.trackers.drawdown import Drawdown
from trading_assets.simulation.trackers.objective_means import ObjectiveMeans
from trading_assets.simulation.trackers.preference import Preference
from trading_assets.simulation.trackers.tail_threshold import TailThreshold
from trading_assets.simulation.trackers.trailing_variance import TrailingVariance
from trading_assets_tests.policy.tasks import make_policy, make_strategy
from trading_assets_tests.simulation.rewards.tasks import MARKET, TABLES, strategy_paid

OWN = "trading_assets_tests.simulation.rewards.own_rewards"


def paid(reward, **policy):
    return make_strategy(policy={"reward": reward, **policy})


DECLARED = [
    ("mean_variance", MeanVariance(5.0), ()),
    ({"kind": "mean_variance", "penalties": []}, MeanVariance(5.0), ()),
    ("log_wealth", LogWealth(), ()),
    ("differential_sharpe", DifferentialSharpe(50, 0.001), (SharpeMoments(0.01, 50),)),
    (
        {"kind": "differential_sharpe", "eta": 0.1, "warm_up_bars": 7, "least_deviation": 0.01},
        DifferentialSharpe(7, 0.01),
        (SharpeMoments(0.1, 7),),
    ),
    ("composite", Penalised(Composite(0.1, 1.0), (DrawdownPenalty(0.5),)), (Drawdown(),)),
    (
        {"kind": "composite", "confidence_bonus": 0.0, "cost_weight": 2.0, "penalties": []},
        Composite(0.0, 2.0),
        (),
    ),
    (
        {
            "kind": "mean_variance",
            "penalties": [
                {"kind": "drawdown", "weight": 0.2},
                {"kind": "turnover", "weight": 0.3},
                {"kind": "value_at_risk", "limit": 0.02, "half_life_bars": 9, "confidence": 0.9},
                {"kind": "expected_shortfall", "weight": 0.4, "confidence": 0.8, "memory_bars": 99},
            ],
        },
        Penalised(
            MeanVariance(5.0),
            (
                DrawdownPenalty(0.2),
                TurnoverPenalty(0.3),
                ValueAtRiskPenalty(1.0, 0.02, 0.9),
                ExpectedShortfallPenalty(0.4, 0.8),
            ),
        ),
        (Drawdown(), TrailingVariance(9.0), TailThreshold(0.8, 99.0)),
    ),
    (
        {"kind": "multi_objective", "preference": {"drawdown": 1, "return": 3}},
        MultiObjective(("drawdown", "return"), (0.1, 1.0)),
        (Preference(("drawdown", "return"), (0.25, 0.75), 1.0), Drawdown()),
    ),
    (
        {
            "kind": "multi_objective",
            "preference": {"return": 1, "variance": 1},
            "scales": {"return": 2.0},
            "scalarisation": "chebyshev",
            "concentration": 0.5,
            "best_return": 0.003,
        },
        MultiObjective(("return", "variance"), (2.0, 2.5), (0.006, 0.0)),
        (
            Preference(("return", "variance"), (0.5, 0.5), 0.5),
            ObjectiveMeans(("return", "variance"), (2.0, 2.5)),
        ),
    ),
]


@pytest.mark.parametrize(("declared", "reward", "trackers"), DECLARED)
def test_a_declaration_becomes_a_reward_and_the_trackers_it_needs(declared, reward, trackers):
    strategy = paid(declared)
    assert declared_reward(strategy) == reward
    assert declared_trackers(strategy) == trackers
    assert tuple(tracker.name for tracker in trackers) == reward.needs


def test_what_is_observed_stands_behind_what_the_reward_needs_and_once():
    strategy = paid(
        {"kind": "differential_sharpe", "eta": 0.2},
        observed_account=["bars_since_trade", "differential_sharpe", "drawdown"],
    )
    expected = (SharpeMoments(0.2, 50), BarsSinceTrade(), Drawdown())
    assert declared_trackers(strategy) == expected


def test_risk_aversion_is_that_of_mean_variance():
    assert declared_reward(paid("mean_variance", risk_aversion=2.0)) == MeanVariance(2.0)


WRONG = [
    ({"reward": "mean_varianc"}, "mean_varianc"),
    ({"reward": {"kind": "mean_variance", "gamma": 1}}, "gamma"),
    ({"reward": {"kind": "differential_sharpe", "eta": 0.0}}, "eta"),
    ({"reward": {"kind": "differential_sharpe", "warm_up_bars": 0}}, "warm_up_bars"),
    ({"reward": {"kind": "multi_objective", "preference": {"return": 1}}}, "at least 2"),
    ({"reward": {"kind": "multi_objective", "preference": {"fame": 1, "return": 1}}}, "fame"),
    (
        {"reward": {"kind": "multi_objective", "preference": {"return": 0, "variance": 0}}},
        "weighs nothing",
    ),
    (
        {
            "reward": {
                "kind": "multi_objective",
                "preference": {"return": 1, "variance": 1},
                "scales": {"turnover": 1},
            }
        },
        "scales names turnover; expected only objectives of preference",
    ),
    ({"reward": {"kind": "mean_variance", "penalties": [{"kind": "value_at_risk"}]}}, "limit"),
    (
        {"reward": {"kind": "mean_variance", "penalties": [{"kind": "drawdown", "weight": -1}]}},
        "weight",
    ),
    ({"reward": {"kind": "own"}}, "name"),
    (
        {"reward": "log_wealth", "sizing": "constant_notional"},
        "log_wealth was declared with sizing constant_notional; expected sizing equity",
    ),
    (
        {"reward": "composite", "uses_forecasts": False},
        "uses_forecasts was false; expected uses_forecasts true, or confidence_bonus 0",
    ),
    ({"observed_account": ["drawdwn"]}, "'drawdwn', which is no tracker; did you mean 'drawdown'"),
    ({"observed_account": ["drawdown", "drawdown"]}, "names drawdown more than once"),
    ({"modules": ["not a module"]}, "modules"),
]


@pytest.mark.parametrize(("policy", "message"), WRONG)
def test_what_cannot_be_meant_is_refused_with_the_declaration(policy, message):
    with pytest.raises(ValidationError, match=message):
        make_strategy(policy=policy)


def test_a_composite_without_a_bonus_needs_no_forecasts():
    reward = {"kind": "composite", "confidence_bonus": 0}
    assert paid(reward, uses_forecasts=False).policy.reward.confidence_bonus == 0.0


def test_parts_that_remember_the_same_differently_are_refused():
    penalties = [
        {"kind": "value_at_risk", "limit": 0.02, "half_life_bars": 20},
        {"kind": "value_at_risk", "limit": 0.01, "half_life_bars": 60},
    ]
    strategy = paid({"kind": "mean_variance", "penalties": penalties})
    with pytest.raises(DeclarationError, match=r"half_life_bars=20\.0.*expected the same"):
        declared_trackers(strategy)
    penalties[1]["half_life_bars"] = 20
    assert len(declared_trackers(paid({"kind": "mean_variance", "penalties": penalties}))) == 1


def test_a_reward_of_ones_own_is_imported_paid_and_shown_what_it_needs():
    reward = {"kind": "own", "name": "least_regret", "parameters": {"weight": 0.5}}
    strategy = strategy_paid(reward, modules=[OWN], observed_account=["worst_bar"])
    task = build_task(MARKET, *TABLES, strategy)
    assert [tracker.name for tracker in task.trackers] == ["worst_bar", "drawdown"]
    policy = make_policy(strategy, MARKET.symbols)
    rolled = roll_rows([policy], task, range(10, 60))
    returns = np.array([s.equity[0] / s.equity_before[0] - 1.0 for s in rolled.steps])
    worst = np.minimum.accumulate(np.append(0.0, returns))
    np.testing.assert_allclose(rolled.rewards, returns + 0.5 * np.diff(worst), atol=1e-9)


def own(name, **reward):
    policy = {"reward": {"kind": "own", "name": name, **reward}, "modules": [OWN]}
    return make_strategy(policy=policy)


WRONG_OWN = [
    (own("least_regrets"), r"'least_regrets' is not registered.*mean 'least_regret'.*policy\.mod"),
    (own("least_regret"), r"least_regret cannot be made with \{\}.*weight"),
    (own("least_regret", parameters={"wait": 1}), "unexpected keyword argument 'wait'"),
    (own("no_reward"), "no_reward has no needs, pay, is_in_deviations; expected what .*Reward"),
    (own("forgetful"), "tracker 'peak_of_peaks' is not known"),
    (
        make_strategy(policy={"modules": ["not_there_at_all"]}),
        "policy module not_there_at_all cannot be imported.*PYTHONPATH",
    ),
    (
        make_strategy(policy={"modules": [OWN], "observed_account": ["fame"]}),
        "tracker 'fame' is not known",
    ),
]


@pytest.mark.parametrize(("strategy", "message"), WRONG_OWN)
def test_what_modules_lack_is_refused_before_training(strategy, message):
    with pytest.raises(DeclarationError, match=message):
        build_task(MARKET, *TABLES, strategy)


def test_a_reward_that_pays_something_else_than_a_number_a_book_is_refused():
    strategy = strategy_paid({"kind": "own", "name": "one_for_all"}, modules=[OWN])
    task = build_task(MARKET, *TABLES, strategy)
    policy = make_policy(strategy, MARKET.symbols)
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(DataError, match="one_for_all paid values that are not finite"),
    ):
        roll_rows([policy], task, range(10, 12))


def declare(tmp_path: Path, *lines: str) -> Path:
    text = (PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(text.replace("  policy:\n", "  policy:\n    " + "\n    ".join(lines) + "\n"))
    return path


def test_a_declaration_file_may_say_the_short_and_the_long_form(tmp_path: Path):
    long = "reward: {kind: differential_sharpe, eta: 0.02, penalties: [{kind: drawdown}]}"
    strategy = read_declaration(
        declare(tmp_path, long, "observed_account: [drawdown]"), "production"
    )
    assert declared_trackers(strategy) == (SharpeMoments(0.02, 50), Drawdown())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reward: sharpe", r"defs\.yaml:\d+: policy\.reward\.kind: .*'differential_sharpe'"),
        (
            "reward: {kind: differential_sharpe, etta: 1}",
            r"policy\.reward\.differential_sharpe\.etta: unknown field; did you mean 'eta'",
        ),
        ("reward: yes", r"policy\.reward: was true; expected another kind of value"),
        ("observed_account: [drawdwn]", r"policy: .*did you mean 'drawdown'"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path: Path, line: str, message: str):
    with pytest.raises(DeclarationError, match=message):
        read_declaration(declare(tmp_path, line), "development")
