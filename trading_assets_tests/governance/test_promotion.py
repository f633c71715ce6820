from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.governance.promotion import (
    ChallengerFigures,
    GateResult,
    interquartile_mean,
    judge_challenger,
    net_utility,
    paired_p_value,
)
from trading_assets.strategy import GovernanceSpec

SPEC = GovernanceSpec()
N = 126


def returns(seed: int, mean: float = 0.0, sd: float = 0.01) -> np.ndarray:
    return mean + sd * np.random.default_rng(seed).standard_normal(N)


def figures(challenger: np.ndarray, **changes: object) -> ChallengerFigures:
    shifts = np.array([[-1e-4], [0.0], [1e-4]])
    good = ChallengerFigures(
        seed_returns=challenger + shifts,
        baseline_name="equal_weight",
        is_ladder_green=True,
        decision_seconds=0.5,
        risk_aversion=5.0,
        bootstrap_samples=500,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def judge(challenger: np.ndarray, champion: np.ndarray, **changes: object) -> dict[str, GateResult]:
    gates = judge_challenger(challenger, champion, champion, figures(challenger, **changes), SPEC)
    return {gate.name: gate for gate in gates}


def failed(gates: dict[str, GateResult]) -> set[str]:
    return {name for name, gate in gates.items() if not gate.passed}


def test_a_clearly_better_challenger_passes_every_gate() -> None:
    champion = returns(0)
    gates = judge(champion + returns(1, 0.002, 0.004), champion)
    assert failed(gates) == set()
    assert list(gates) == [
        "beats_champion",
        "beats_best_naive_baseline",
        "drawdown_within_limit",
        "seeds_agree",
        "oracle_ladder_is_green",
        "decides_in_time",
    ]


def test_worse_challengers_are_refused() -> None:
    champion = returns(2)
    promoted = sum(
        not failed(judge(champion + returns(seed, -0.0005, 0.004), champion)) for seed in range(40)
    )
    assert promoted <= 2


def test_equal_challengers_beat_the_champion_about_as_often_as_the_threshold_says() -> None:
    champion = returns(3)
    passed = sum(
        judge(champion + returns(seed, 0.0, 0.004), champion)["beats_champion"].passed
        for seed in range(100)
    )
    assert 2 <= passed <= 20


def test_the_champion_itself_is_not_better_than_the_champion() -> None:
    champion = returns(4)
    gate = judge(champion, champion)["beats_champion"]
    assert (gate.passed, gate.figure) == (False, 1.0)


def test_a_deep_drawdown_fails_although_the_mean_is_better() -> None:
    champion = returns(5, 0.0005, 0.002)
    challenger = champion + 0.004
    challenger[60:70] -= 0.05
    gates = judge(challenger, champion)
    assert "drawdown_within_limit" in failed(gates)
    gate = gates["drawdown_within_limit"]
    assert gate.figure > gate.threshold


def test_a_champion_that_held_cash_sets_a_drawdown_limit_of_a_tenth() -> None:
    cash = np.zeros(N)
    assert judge(returns(6, 0.001, 0.003), cash)["drawdown_within_limit"].passed
    gate = judge(returns(6, -0.004, 0.003), cash)["drawdown_within_limit"]
    assert (gate.passed, gate.threshold) == (False, 0.1)


def test_one_lucky_seed_does_not_agree() -> None:
    champion = returns(7)
    challenger = champion + 0.002
    seeds = champion + np.array([[-0.002], [-0.001], [0.009]])
    assert failed(judge(challenger, champion, seed_returns=seeds)) == {"seeds_agree"}
    assert failed(judge(challenger, champion, seed_returns=challenger[None, :])) == {"seeds_agree"}


@pytest.mark.parametrize(
    ("is_green", "words"), [(None, "No oracle ladder"), (False, "is not green")]
)
def test_an_agent_without_a_green_ladder_is_experimental(is_green: bool | None, words: str) -> None:
    champion = returns(8)
    gates = judge(champion + 0.002, champion, is_ladder_green=is_green)
    assert failed(gates) == {"oracle_ladder_is_green"}
    assert words in gates["oracle_ladder_is_green"].sentence
    assert "experimental" in gates["oracle_ladder_is_green"].sentence


def test_a_slow_decision_fails() -> None:
    champion = returns(9)
    assert failed(judge(champion + 0.002, champion, decision_seconds=61.0)) == {"decides_in_time"}


def test_a_challenger_below_the_best_baseline_fails() -> None:
    champion = returns(10)
    challenger = champion + 0.002
    gates = judge_challenger(challenger, champion, champion + 0.003, figures(challenger), SPEC)
    assert {gate.name for gate in gates if not gate.passed} == {"beats_best_naive_baseline"}


def test_a_gate_says_which_baselines_were_left_out_for_want_of_data() -> None:
    champion = returns(10)
    gates = judge(champion, champion, missing_baselines=("momentum", "trend"))
    sentence = gates["beats_best_naive_baseline"].sentence
    assert sentence.endswith(" Left out for want of data or equity: momentum, trend.")
    whole = judge(champion, champion)["beats_best_naive_baseline"].sentence
    assert sentence.removesuffix(" Left out for want of data or equity: momentum, trend.") == whole


def test_the_same_returns_get_the_same_verdict() -> None:
    champion = returns(11)
    assert judge(champion + returns(12), champion) == judge(champion + returns(12), champion)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_returns_that_are_no_numbers_are_refused(bad: float) -> None:
    champion = returns(13)
    challenger = champion.copy()
    challenger[5] = bad
    with pytest.raises(DataError, match="challenger returns hold"):
        judge_challenger(challenger, champion, champion, figures(champion), SPEC)


def test_series_of_other_lengths_are_refused() -> None:
    champion = returns(14)
    with pytest.raises(DataError, match="over the same"):
        judge_challenger(champion[1:], champion, champion, figures(champion), SPEC)


def test_net_utility_and_interquartile_mean_by_hand() -> None:
    assert net_utility(np.array([0.1]), 5.0)[0] == pytest.approx(0.1 - 0.025)
    assert interquartile_mean(np.array([1.0, 2.0, 9.0])) == 4.0
    assert interquartile_mean(np.array([1.0, 2.0, 4.0, 100.0])) == 3.0


def test_a_constant_advantage_is_as_certain_as_the_resamples_allow() -> None:
    assert paired_p_value(np.full(50, 0.001), 99, np.random.default_rng(0)) == pytest.approx(0.01)
