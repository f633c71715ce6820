"""Each gate passed and failed, and what the verdict makes of them."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from trading_assets.backtest.choice import ChoiceTests
from trading_assets.backtest.deflated_advantage import Deflation
from trading_assets.backtest.figures import Comparison, Judgement
from trading_assets.backtest.overfitting import Overfitting
from trading_assets.backtest.promotion_gates import (
    GateEvidence,
    failed_gates,
    judge_gates,
    unjudged_gates,
)
from trading_assets.backtest.seed_advantage import SeedAdvantage
from trading_assets.backtest.verdict import judge_agent

JUDGEMENT = Judgement(12, None, 400, 0.95, 0)


def comparison(difference, p_value=0.01, low=None):
    low = difference - 0.5 if low is None else low
    return Comparison(500, 1.0 + difference, 1.0, difference, low, difference + 0.5, p_value)


def figures(missing=()):
    return SimpleNamespace(
        missing_folds=missing,
        is_complete=not missing,
        folds=4,
        bars=1000,
    )


def advantage(low=0.2, seeds=3, distinct=3):
    scores = np.ones((seeds, 1))
    return SeedAdvantage(seeds, distinct, "momentum", ("a",), (), scores, 0.5, low, 0.9, {})


def deflation(sharpe=0.97, of_advantage=0.96, clusters=3, of_advantages=4):
    return Deflation(12, clusters, of_advantages, sharpe, of_advantage)


def evidence(**changes) -> GateEvidence:
    values = {
        "portfolio": "ppo/ensemble",
        "benchmark": "momentum",
        "comparisons": {"cash": comparison(1.5), "momentum": comparison(0.8)},
        "ensemble": figures(),
        "required": {"ppo/ensemble": figures(), "ppo/seed-0": figures(), "momentum": figures()},
        "deflation": deflation(),
        "advantage": advantage(),
        "max_p_value": 0.1,
        **changes,
    }
    return GateEvidence(**values)


def choosing(probability):
    none = np.zeros(3)
    found = None if probability is None else Overfitting(probability, none, none, none, 0.0)
    return ChoiceTests(found, "" if found else "1 candidate; expected at least 2", None, "")


GOOD = choosing(0.1)


def gate_of(name, own=None, tests=GOOD):
    return next(gate for gate in judge_gates(own or evidence(), tests) if gate.name == name)


def test_all_gates_are_passed_by_good_evidence():
    gates = judge_gates(evidence(), GOOD)
    assert [gate.passed for gate in gates] == [True] * 6
    assert failed_gates(gates) == unjudged_gates(gates) == []


@pytest.mark.parametrize(
    ("comparisons", "said"),
    [
        (
            {"cash": comparison(1.5), "momentum": comparison(0.8, 0.2)},
            "of 2 of 2 baselines; against",
        ),
        ({"cash": comparison(-0.1), "momentum": comparison(0.8)}, "1 of 2 baselines, not of cash;"),
        (
            {"cash": comparison(math.nan, math.nan), "momentum": comparison(0.8)},
            "1 of 2 baselines, and cannot be compared with cash;",
        ),
        (
            {"cash": comparison(1.0), "momentum": comparison(math.nan, math.nan)},
            "cannot be compared with momentum; against momentum, the strongest, p is undefined",
        ),
    ],
)
def test_every_baseline_has_to_be_beaten_and_the_strongest_by_more_than_chance(comparisons, said):
    gate = gate_of("beats_every_naive_baseline", evidence(comparisons=comparisons))
    assert gate.passed is False
    assert said in gate.sentence
    assert gate.threshold == 0.1


def test_the_p_value_of_the_strongest_baseline_is_held_against_the_declared_one():
    comparisons = {"cash": comparison(1.5, 0.9), "momentum": comparison(0.8, 0.04)}
    strict = evidence(comparisons=comparisons, max_p_value=0.04)
    assert gate_of("beats_every_naive_baseline", strict).passed is False
    loose = gate_of("beats_every_naive_baseline", evidence(comparisons=comparisons))
    assert (loose.passed, loose.figure) == (True, 0.04)
    assert loose.sentence == (
        "The annual Sharpe ratio is above that of 2 of 2 baselines; against momentum, the"
        " strongest, p = 0.040; expected an advantage over each and p below 0.1."
    )


@pytest.mark.parametrize(("deflated", "passed"), [(0.95, True), (0.9499, False), (math.nan, False)])
def test_the_deflated_sharpe_ratio_has_to_reach_095(deflated, passed):
    for name, found in {
        "survives_deflation": deflation(sharpe=deflated),
        "advantage_survives_deflation": deflation(of_advantage=deflated),
    }.items():
        gate = gate_of(name, evidence(deflation=found))
        assert gate.passed is passed
        assert ("has no deflated figure" in gate.sentence) == math.isnan(deflated)


def test_deflation_says_what_was_counted_and_where_nothing_was_deducted():
    own = evidence(deflation=deflation(clusters=1))
    assert gate_of("survives_deflation", own).sentence == (
        "The Sharpe ratio is above 0 with probability 0.970; 12 counted trials are one cluster of"
        " alike ones, so nothing was deducted; expected at least 0.95."
    )
    assert gate_of("advantage_survives_deflation", own).sentence == (
        "The advantage over momentum at its volatility exceeds with probability 0.960 what the best"
        " of as many worthless clusters shows by luck; 12 counted trials are 4 clusters of alike"
        " ones; expected at least 0.95."
    )
    alone = evidence(deflation=Deflation(1, 1, 1, 0.97, 0.96))
    assert "1 counted trial is one, so nothing was deducted" in (
        gate_of("survives_deflation", alone).sentence
    )


@pytest.mark.parametrize(("probability", "passed"), [(0.3, True), (0.31, False), (None, None)])
def test_overfitting_has_to_be_unlikely_where_it_is_known(probability, passed):
    gate = gate_of("is_not_overfit", tests=choosing(probability))
    assert gate.passed is passed
    if probability is None:
        assert gate.sentence == "Not judged: 1 candidate; expected at least 2."
        assert math.isnan(gate.figure)


@pytest.mark.parametrize(
    ("low", "seeds", "passed"),
    [(0.01, 2, True), (0.0, 3, False), (-0.2, 3, False), (0.5, 1, False), (math.nan, 3, False)],
)
def test_seeds_have_to_agree_and_one_agrees_with_nobody(low, seeds, passed):
    gate = gate_of("seeds_agree", evidence(advantage=advantage(low, seeds)))
    assert gate.passed is passed


def test_seeds_that_are_equal_to_the_bit_agree_with_nobody():
    same = gate_of("seeds_agree", evidence(advantage=advantage(0.5, distinct=1)))
    assert (same.passed, math.isnan(same.figure)) == (False, True)
    assert same.sentence == (
        "3 seeds earned the same to the bit; expected two or more that differ, so that luck can be"
        " told."
    )
    assert gate_of("seeds_agree", evidence(advantage=advantage(0.5, distinct=2))).passed is True


def test_a_missing_fold_of_a_seed_fails_and_is_named():
    required = {"ppo/ensemble": figures(), "ppo/seed-1": figures(missing=("2020", "2021"))}
    gate = gate_of("is_complete", evidence(required=required))
    assert (gate.passed, gate.figure, gate.threshold) == (False, 2.0, 0.0)
    assert gate.sentence.startswith("2 folds are missing, of ppo/seed-1;")


def verdict_of(own, tests=GOOD):
    return judge_agent("ppo", own, judge_gates(own, tests), JUDGEMENT)


def test_a_gate_that_could_not_be_judged_is_no_pass_and_is_named_with_its_reason():
    found = verdict_of(evidence(), choosing(None))
    assert found.standing == "ahead"
    assert [gate.name for gate in unjudged_gates(found.gates)] == ["is_not_overfit"]
    assert found.sentence.startswith(
        "ppo is ahead of momentum after costs, but cannot be judged by 1 of 6 gates (overfitting:"
        " 1 candidate; expected at least 2): annual Sharpe 1.80 against 1.00"
    )
    both = verdict_of(evidence(deflation=deflation(0.5)), choosing(None))
    assert (
        "but fails 1 of 6 gates (deflated Sharpe ratio) and cannot be judged by 1 of 6 gates"
        " (overfitting: 1 candidate;"
    ) in both.sentence


def test_beating_needs_every_gate():
    assert verdict_of(evidence()).standing == "beats"
    ahead = evidence(
        comparisons={"cash": comparison(1.5), "momentum": comparison(0.8, low=0.1)},
        deflation=deflation(0.5),
    )
    found = verdict_of(ahead, choosing(0.6))
    assert found.standing == "ahead"
    assert found.sentence.startswith(
        "ppo is ahead of momentum after costs, but fails 2 of 6 gates (deflated Sharpe ratio,"
        " overfitting): annual Sharpe 1.80 against 1.00"
    )
    assert [gate.name for gate in failed_gates(found.gates)] == [
        "survives_deflation",
        "is_not_overfit",
    ]


def test_where_the_interval_holds_zero_a_failed_gate_leaves_it_undecided():
    own = evidence(deflation=deflation(0.5), comparisons={"momentum": comparison(0.3, low=-0.2)})
    assert verdict_of(own).standing == "undecided"
    assert verdict_of(replace(own, comparisons={"momentum": comparison(-2.0)})).standing == "behind"
    unknown = replace(own, comparisons={"momentum": comparison(math.nan, math.nan)})
    assert verdict_of(unknown).standing == "unknown"


def test_an_incomplete_record_beats_nobody():
    required = {"ppo/ensemble": figures(), "ppo/seed-1": figures(missing=("2020",))}
    comparisons = {"momentum": comparison(0.8, low=0.2)}
    found = verdict_of(evidence(required=required, comparisons=comparisons))
    assert (found.standing, found.is_complete) == ("ahead", False)
    assert found.sentence.startswith("Incomplete: ppo is ahead of momentum")
    assert "(folds and seeds)" in found.sentence
