"""Advantages over a benchmark, deflated by every trial that departs from it otherwise."""

import math

import numpy as np
import pytest

from trading_assets.backtest.deflated_advantage import (
    advantage_over,
    cluster_advantages,
    deflate_advantage,
)
from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.metrics import sharpe_per_bar
from trading_assets.backtest.statistics import (
    describe_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
)
from trading_assets.backtest.trial_clusters import cluster_trials
from trading_assets.backtest.trials import TrialSeries
from trading_assets_tests.backtest.shared_markets import show_best

DAYS = np.datetime64("2020-01-01") + np.arange(500)
JUDGEMENT = Judgement(20, None, 400, 0.95, 0)


def series_of(returns, days=DAYS) -> TrialSeries:
    return TrialSeries("s/ppo", days, np.asarray(returns, dtype=np.float64))


def draw_books(count=20):
    """A market, and books that hold it and depart from it by a third of its deviation."""
    rng = np.random.default_rng(3)
    market = 0.0005 + 0.01 * rng.standard_normal(len(DAYS))
    departures = 0.0033 * rng.standard_normal((count, len(DAYS)))
    return series_of(market), [series_of(market + own) for own in departures]


def test_an_advantage_is_one_of_sharpe_ratios_on_the_common_sessions():
    # Deviations of 500 sessions would differ: only the last four are common.
    benchmark = series_of([0.01, -0.01, 0.03, 0.01], DAYS[1:5])
    trial = series_of([9.0, 0.02, -0.02, 0.06, 0.02], DAYS[:5])
    found = advantage_over(trial, benchmark)
    assert found.sessions.tolist() == DAYS[1:5].tolist()
    # Twice the benchmark: at its volatility nothing is left, though its mean is higher.
    assert found.returns.tolist() == [0.0] * 4
    better = advantage_over(series_of([0.02, 0.0, 0.04, 0.02], DAYS[1:5]), benchmark)
    np.testing.assert_allclose(better.returns, 0.01, atol=1e-15)


@pytest.mark.parametrize("leverage", [0.1, 1.0, 3.0])
def test_borrowing_neither_makes_an_advantage_nor_takes_one_away(leverage):
    market, books = draw_books(1)
    found = advantage_over(series_of(leverage * books[0].returns), market).returns
    own, held = (sharpe_per_bar(each.returns) for each in (books[0], market))
    assert found.mean() == pytest.approx((own - held) * market.returns.std(ddof=1))


def test_less_cash_a_book_is_as_it_is_and_a_book_of_cash_is_the_benchmark_lost():
    market, books = draw_books(1)
    cash = series_of(np.zeros(len(DAYS)))
    assert np.array_equal(advantage_over(books[0], cash).returns, books[0].returns)
    assert np.array_equal(advantage_over(cash, market).returns, -market.returns)


def test_books_of_one_market_are_one_cluster_but_their_advantages_are_many():
    market, books = draw_books()
    assert cluster_trials(books).count == 1
    assert cluster_advantages(books, market).count == 20
    # The same departure a hundred times is still one.
    assert cluster_advantages([books[0]] * 100, market).count == 1


def test_trials_without_a_common_session_are_each_a_cluster_of_their_own():
    market, books = draw_books(2)
    elsewhere = [series_of(own.returns, DAYS + 1000) for own in books]
    silent = [series_of([], DAYS[:0])] * 2
    found = cluster_advantages([*books, *elsewhere, *silent], market)
    assert found.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert len(found.sharpes) == 2


def test_the_deflated_advantage_is_the_closed_form_of_advantages():
    market, books = draw_books()
    clusters = cluster_advantages(books, market)
    excess = advantage_over(books[0], market).returns
    sharpes = [sharpe_per_bar(advantage_over(own, market).returns) for own in books]
    variance = max(float(np.var(sharpes, ddof=1)), 1.0 / 499)
    expected = probabilistic_sharpe(describe_sharpe(excess), expected_maximum_sharpe(20, variance))
    found = deflate_advantage(books[0], market, clusters, JUDGEMENT)
    assert found == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_compared_has_no_deflated_advantage():
    market, books = draw_books(2)
    clusters = cluster_advantages(books, market)
    for leverage in (1.0, 1.0 / 3.0):
        copy = series_of(leverage * market.returns)
        assert math.isnan(deflate_advantage(copy, market, clusters, JUDGEMENT))
    elsewhere = series_of(market.returns, DAYS + 1000)
    assert math.isnan(deflate_advantage(elsewhere, market, clusters, JUDGEMENT))


def test_the_best_of_many_worthless_books_of_one_market_seldom_beats_it():
    shown = [show_best(seed, rules=0) for seed in range(60)]
    # At 1 %, three or more of 60 are drawn in fewer than 1 of 40 series.
    assert sum(own.standing == "beats" for own in shown) <= 2
    # Every other gate lets more of them through.
    assert sum(own.stands_without("advantage_survives_deflation") for own in shown) >= 6
    said = shown[0].sentences["survives_deflation"]
    assert "50 counted trials are one cluster of alike ones, so nothing was deducted" in said
