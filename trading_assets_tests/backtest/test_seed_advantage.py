import math

import numpy as np
import pytest

from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.backtest.seed_advantage import measure_advantage
from trading_assets.backtest.seed_scores import interquartile_interval, interquartile_mean
from trading_assets.backtest.track_record import TrackRecord

FOLDS = ("2020-01-01", "2021-01-01", "2022-01-01")
BARS = 250


def record_of(portfolio, by_fold) -> TrackRecord:
    """A record of the folds given, with a year of sessions each."""
    keys = sorted(by_fold)
    returns = np.concatenate([np.empty(0), *(by_fold[key] for key in keys)])
    days = [np.datetime64(key, "D") + np.arange(len(by_fold[key])) for key in keys]
    folds = [np.full(len(by_fold[key]), key) for key in keys]
    nothing = [np.zeros(len(returns))] * 4
    return TrackRecord(
        portfolio,
        (),
        np.concatenate([np.empty(0, "datetime64[D]"), *days]),
        np.concatenate([np.empty(0, np.str_), *folds]),
        returns,
        *nothing,
    )


def draw(name, seed, mean=0.0, folds=FOLDS) -> TrackRecord:
    rng = np.random.default_rng(seed)
    drawn = {key: mean + 0.01 * rng.standard_normal(BARS) for key in FOLDS}
    return record_of(name, {key: drawn[key] for key in folds})


CASH = record_of("cash", {key: np.zeros(BARS) for key in FOLDS})


def advantage_of(seeds, baselines, benchmark="equal_weight", folds=FOLDS):
    return measure_advantage(seeds, baselines, benchmark, folds, 0.95, 0)


def test_a_score_is_a_seeds_ratio_less_the_benchmarks_in_the_same_fold():
    seeds = [draw(f"ppo/seed-{n}", n, 0.001) for n in range(3)]
    held = draw("equal_weight", 9)
    found = advantage_of(seeds, {"equal_weight": held, "cash": CASH})
    expected = np.array(
        [
            [sharpe_annual(s.of_fold(key)) - sharpe_annual(held.of_fold(key)) for key in FOLDS]
            for s in seeds
        ]
    )
    np.testing.assert_allclose(found.scores, expected, rtol=1e-12)
    assert found.interquartile_mean == interquartile_mean(found.scores)
    interval = interquartile_interval(found.scores, np.random.default_rng([0, 0]))
    assert (found.low, found.high) == (interval.low, interval.high)
    assert (found.seeds, found.folds, found.missing_folds) == (3, FOLDS, ())


def test_cash_and_a_seed_that_never_trades_have_ratio_zero():
    idle = record_of("ppo/seed-1", {key: np.zeros(BARS) for key in FOLDS})
    seeds = [draw("ppo/seed-0", 1, 0.002), idle]
    found = advantage_of(seeds, {"cash": CASH}, "cash")
    assert found.scores[0].tolist() == pytest.approx(
        [sharpe_annual(seeds[0].of_fold(key)) for key in FOLDS]
    )
    assert found.scores[1].tolist() == [0.0] * 3
    # The first seed wins each fold, the other one ties.
    assert found.improvements["cash"].probability == pytest.approx(0.75)


def test_improvement_is_over_each_baseline_by_itself():
    seeds = [draw(f"ppo/seed-{n}", n, 0.001) for n in range(4)]
    weak, strong = draw("equal_weight", 20, -0.01), draw("momentum", 21, 0.01)
    found = advantage_of(seeds, {"equal_weight": weak, "momentum": strong, "cash": CASH})
    assert found.improvements["equal_weight"].probability == 1.0
    assert found.improvements["momentum"].probability == 0.0
    assert (found.improvements["momentum"].low, found.improvements["momentum"].high) == (0.0, 0.0)
    assert 0.5 < found.improvements["cash"].probability < 1.0


def test_a_fold_that_a_seed_lacks_is_left_out_for_all_and_named():
    seeds = [draw("ppo/seed-0", 1), draw("ppo/seed-1", 2, folds=FOLDS[1:])]
    found = advantage_of(seeds, {"equal_weight": draw("equal_weight", 3), "cash": CASH})
    assert found.folds == FOLDS[1:]
    assert found.missing_folds == FOLDS[:1]
    assert found.scores.shape == (2, 2)
    assert found.improvements["cash"].folds == FOLDS[1:]


def test_a_fold_that_another_baseline_lacks_costs_that_baseline_alone():
    seeds = [draw("ppo/seed-0", 1), draw("ppo/seed-1", 2)]
    late = draw("momentum", 3, folds=FOLDS[2:])
    found = advantage_of(seeds, {"equal_weight": draw("equal_weight", 4), "momentum": late})
    assert found.folds == FOLDS
    assert found.improvements["momentum"].folds == FOLDS[2:]


def test_without_a_shared_fold_there_is_no_figure():
    seeds = [draw("ppo/seed-0", 1, folds=FOLDS[:1]), draw("ppo/seed-1", 2, folds=FOLDS[1:])]
    found = advantage_of(seeds, {"cash": CASH}, "cash")
    assert found.folds == ()
    assert math.isnan(found.interquartile_mean)
    assert math.isnan(found.low)
    assert math.isnan(found.improvements["cash"].probability)


def test_an_expected_fold_that_nobody_has_is_missing():
    seeds = [draw("ppo/seed-0", 1)]
    found = advantage_of(seeds, {"cash": CASH}, "cash", folds=(*FOLDS, "2023-01-01"))
    assert found.missing_folds == ("2023-01-01",)
