import math

import numpy as np
import pytest

from trading_assets.backtest.metrics import sharpe_per_bar
from trading_assets.backtest.trial_clusters import cluster_trials, correlate_shared
from trading_assets.backtest.trials import TrialSeries, chain_windows

START = np.datetime64("2020-01-01")


def series_of(returns, start=0, label="s/ppo") -> TrialSeries:
    days = START + np.arange(start, start + len(returns))
    return TrialSeries(label, days, np.asarray(returns, dtype=np.float64))


def draw_groups(rng, groups, inner, outer, bars):
    """Trials of unit variance, a list of their groups; correlated within and between groups."""
    market = rng.standard_normal(bars)
    own = rng.standard_normal((max(groups) + 1, bars))
    return [
        series_of(
            math.sqrt(outer) * market
            + math.sqrt(inner - outer) * own[group]
            + math.sqrt(1.0 - inner) * rng.standard_normal(bars)
        )
        for group in groups
    ]


@pytest.mark.parametrize("inner", [0.7, 0.9])
@pytest.mark.parametrize("outer", [0.0, 0.3])
@pytest.mark.parametrize("bars", [250, 1000])
def test_groups_of_alike_trials_are_found_as_they_were_drawn(inner, outer, bars):
    rng = np.random.default_rng(1)
    groups = [0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4, 1, 4]
    found = cluster_trials(draw_groups(rng, groups, inner, outer, bars))
    assert found.labels.tolist() == groups
    assert found.count == 5


def test_where_groups_are_loose_clusters_are_rather_too_many():
    rng = np.random.default_rng(2)
    groups = [place // 4 for place in range(20)]
    counts = [cluster_trials(draw_groups(rng, groups, 0.5, 0.0, 250)).count for _ in range(10)]
    assert min(counts) >= 5
    assert np.mean(counts) > 7


def test_unrelated_trials_are_each_counted():
    rng = np.random.default_rng(3)
    for bars in (250, 1000):
        assert cluster_trials(draw_groups(rng, list(range(20)), 0.9, 0.3, bars)).count == 20


def test_the_same_trial_a_hundred_times_is_one():
    own = series_of(np.random.default_rng(4).standard_normal(250))
    found = cluster_trials([own] * 100)
    assert found.count == 1
    assert found.sharpes.tolist() == pytest.approx([sharpe_per_bar(own.returns)])
    assert found.excess_variance is None


def test_trials_without_returns_are_each_a_cluster():
    rng = np.random.default_rng(5)
    none = chain_windows("s/ppo", [])
    alike = draw_groups(rng, [0, 0], 0.9, 0.0, 250)
    found = cluster_trials([none, alike[0], none, alike[1]])
    assert found.labels.tolist() == [0, 1, 2, 1]
    assert (found.count, len(found.sharpes)) == (3, 1)
    assert cluster_trials([none] * 10_000).count == 10_000
    assert cluster_trials([]).count == 0


def test_a_chain_of_alike_trials_is_not_one_trial():
    first, last = np.random.default_rng(12).standard_normal((2, 1000))
    between = (first + last) / math.sqrt(2.0)
    # The ends correlate by 0.7 with what lies between them and not with one another.
    found = cluster_trials([series_of(first), series_of(between), series_of(last)])
    assert found.count == 2


def test_too_few_shared_sessions_say_nothing():
    returns = np.random.default_rng(6).standard_normal(200)
    for shared, count in ((60, 1), (59, 2)):
        other = series_of(returns[-shared:], start=200 - shared)
        assert cluster_trials([series_of(returns), other]).count == count


def test_opposite_trials_and_books_that_never_trade_are_not_alike():
    returns = np.random.default_rng(7).standard_normal(250)
    flat = series_of(np.zeros(250))
    found = cluster_trials([series_of(returns), series_of(-returns), flat, flat])
    assert found.labels.tolist() == [0, 1, 2, 3]
    assert found.sharpes[2:].tolist() == [0.0, 0.0]


def test_correlations_are_those_of_shared_sessions():
    rng = np.random.default_rng(8)
    laid = 0.01 * rng.standard_normal((3, 300)) + 0.004
    laid[1] += 0.6 * laid[0]
    laid[0, :40], laid[1, 250:] = np.nan, np.nan
    found = correlate_shared(laid)
    both = slice(40, 250)
    expected = np.corrcoef(laid[0, both], laid[1, both])[0, 1]
    assert found[0, 1] == pytest.approx(expected, abs=1e-12)
    assert found[1, 0] == found[0, 1]
    assert np.diagonal(found).tolist() == [1.0] * 3


def test_a_cluster_earns_the_mean_of_those_members_that_have_a_session():
    rng = np.random.default_rng(9)
    long = 0.01 * rng.standard_normal(200)
    short = long[100:] + 0.001 * rng.standard_normal(100)
    found = cluster_trials([series_of(long), series_of(short, start=100)])
    mean = np.concatenate([long[:100], (long[100:] + short) / 2.0])
    assert found.sharpes.tolist() == pytest.approx([sharpe_per_bar(mean)])
    assert found.sessions.tolist() == [200]


def test_only_what_chance_does_not_explain_is_a_spread_of_ratios():
    rng = np.random.default_rng(10)
    bars = 500
    returns = rng.standard_normal((4, bars))
    # Exactly these ratios of one session: 0, 0.1, 0.2 and 0.3.
    scaled = (returns - returns.mean(axis=1, keepdims=True)) / returns.std(axis=1, ddof=1)[:, None]
    ratios = np.array([0.0, 0.1, 0.2, 0.3])
    found = cluster_trials([series_of(own) for own in scaled + ratios[:, None]])
    assert found.count == 4
    assert found.excess_variance == pytest.approx(ratios.var(ddof=1) - 1 / (bars - 1))
    alike = cluster_trials([series_of(own) for own in scaled])
    assert alike.excess_variance == 0.0


def test_the_same_trials_give_the_same_clusters():
    trials = draw_groups(np.random.default_rng(11), [0, 1, 0, 2, 1], 0.6, 0.2, 250)
    first, second = cluster_trials(trials), cluster_trials(trials)
    assert first.labels.tolist() == second.labels.tolist()
    assert first.sharpes.tobytes() == second.sharpes.tobytes()


def test_a_session_in_two_windows_counts_once():
    first = (START + np.arange(3), np.array([0.1, 0.2, 0.3]))
    second = (START + np.arange(2, 4), np.array([0.9, 0.4]))
    chained = chain_windows("s/ppo", [first, second])
    assert chained.returns.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert chained.over(START + np.arange(1, 3)).tolist() == [0.2, 0.3]
    assert chained.over(START + np.arange(3, 5)) is None
    assert chained.over(START - np.arange(2)[::-1]) is None
