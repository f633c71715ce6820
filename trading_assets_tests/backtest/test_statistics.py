import math

import numpy as np
import pytest

from trading_assets.backtest.statistics import (
    SharpeSample,
    deflated_sharpe,
    describe_sharpe,
    expected_maximum_sharpe,
    minimum_track_record_bars,
    probabilistic_sharpe,
)

# The worked example of the Deflated Sharpe Ratio paper: 5 years of daily bars, Sharpe 2.5 with 250.
PAPER = SharpeSample(sharpe=2.5 / math.sqrt(250), bars=1250, skewness=-3.0, kurtosis=10.0)
PAPER_VARIANCE = 0.5 / 250


def test_the_deflated_sharpe_ratio_equals_the_papers():
    assert deflated_sharpe(PAPER, 46, PAPER_VARIANCE) == pytest.approx(0.9505, abs=1e-4)
    assert deflated_sharpe(PAPER, 100, PAPER_VARIANCE) == pytest.approx(0.9004, abs=1e-4)


def test_the_expected_maximum_equals_the_papers():
    assert expected_maximum_sharpe(100, PAPER_VARIANCE) == pytest.approx(0.1132, abs=1e-4)


def test_one_trial_deflates_nothing():
    assert deflated_sharpe(PAPER, 1, PAPER_VARIANCE) == probabilistic_sharpe(PAPER)


def test_more_trials_never_raise_the_deflated_ratio():
    values = [deflated_sharpe(PAPER, trials) for trials in (1, 2, 5, 20, 100, 1000)]
    assert values == sorted(values, reverse=True)


def test_no_trials_are_refused():
    with pytest.raises(ValueError, match="trials was 0"):
        expected_maximum_sharpe(0, 1.0)


def test_the_probabilistic_ratio_of_a_gaussian_is_a_normal_test():
    sample = SharpeSample(sharpe=0.1, bars=401, skewness=0.0, kurtosis=3.0)
    # 0.1 * 20 / sqrt(1 + 0.5 * 0.01) = 1.99503; Phi of that.
    assert probabilistic_sharpe(sample) == pytest.approx(0.976980, abs=1e-5)


@pytest.mark.parametrize(
    ("sharpe_annual", "days"), [(0.5, 2730), (1.0, 684), (1.5, 305), (2.0, 173)]
)
def test_the_minimum_track_record_of_gaussian_returns(sharpe_annual: float, days: int):
    sample = SharpeSample(sharpe_annual / math.sqrt(252), 0, 0.0, 3.0)
    assert minimum_track_record_bars(sample) == pytest.approx(days, abs=0.6)


def test_a_ratio_below_the_benchmark_never_gets_significant():
    assert minimum_track_record_bars(SharpeSample(-0.1, 100, 0.0, 3.0)) == math.inf


def test_moments_are_those_of_the_sample():
    sample = describe_sharpe(np.array([0.0, 0.0, 0.0, 0.04]))
    assert sample.sharpe == pytest.approx(0.5)
    assert sample.skewness == pytest.approx(2 / math.sqrt(3))
    assert sample.kurtosis == pytest.approx(7 / 3)


def test_a_series_without_variance_proves_nothing():
    sample = describe_sharpe(np.zeros(50))
    assert math.isnan(probabilistic_sharpe(sample))
    assert math.isnan(deflated_sharpe(sample, 10))
    assert math.isnan(minimum_track_record_bars(sample))


def test_the_best_of_twenty_useless_strategies_is_seldom_called_good():
    rng = np.random.default_rng(11)
    naive = deflated = 0
    for _ in range(200):
        samples = [describe_sharpe(r) for r in rng.normal(0, 0.01, (20, 504))]
        best = max(samples, key=lambda s: s.sharpe)
        variance = float(np.var([s.sharpe for s in samples], ddof=1))
        naive += probabilistic_sharpe(best) > 0.95
        deflated += deflated_sharpe(best, 20, variance) > 0.95
    assert naive > 100
    assert deflated <= 6
