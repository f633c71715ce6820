import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from trading_assets.errors import DataError
from trading_assets.simulation.worlds.bayes_accuracy import bayes_forecast, correlation_with_return
from trading_assets.simulation.worlds.one_asset import WorldOne

TABLE = [
    (0.00, 0.3333, 1.0986),
    (0.05, 0.3479, 1.0976),
    (0.10, 0.3624, 1.0946),
    (0.15, 0.3772, 1.0896),
    (0.20, 0.3922, 1.0825),
    (0.25, 0.4075, 1.0732),
    (0.30, 0.4232, 1.0616),
    (0.35, 0.4395, 1.0474),
    (0.40, 0.4564, 1.0306),
]


@pytest.mark.parametrize(("correlation", "accuracy", "log_loss"), TABLE)
def test_the_published_table_is_reproduced(correlation, accuracy, log_loss):
    forecast = bayes_forecast(correlation)
    assert forecast.accuracy == pytest.approx(accuracy, abs=0.5e-4)
    assert forecast.log_loss == pytest.approx(log_loss, abs=0.5e-4)
    mirrored = bayes_forecast(-correlation)
    assert mirrored.accuracy == pytest.approx(forecast.accuracy, rel=1e-12)
    assert mirrored.log_loss == pytest.approx(forecast.log_loss, rel=1e-12)


@pytest.mark.parametrize(
    ("information", "correlation", "accuracy", "last_digit"),
    [(0.1, 0.179, 0.386, 1e-3), (0.2, 0.339, 0.436, 1e-3), (0.3, 0.467, 0.48, 1e-2)],
)
def test_five_bars_of_a_persistent_signal_are_as_published(
    information, correlation, accuracy, last_digit
):
    found = correlation_with_return(0.9, information, 5)
    assert found == pytest.approx(correlation, abs=0.5e-3)
    assert bayes_forecast(found).accuracy == pytest.approx(accuracy, abs=0.5 * last_digit)


@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.9])
def test_accuracy_is_that_of_the_areas_where_each_label_is_likeliest(correlation):
    # The two normal variables fall together into the outer or the middle areas.
    edge = norm.ppf(2.0 / 3.0)
    pair = multivariate_normal(cov=[[1.0, correlation], [correlation, 1.0]])

    def accuracy_of(turn):
        outer = pair.cdf([-edge, -turn])
        middle = pair.cdf([edge, turn], lower_limit=[-edge, -turn])
        return 2.0 * outer + middle

    turns = np.linspace(0.0, 4.0, 401)
    best = max(accuracy_of(turn) for turn in turns)
    assert bayes_forecast(correlation).accuracy == pytest.approx(best, abs=1e-5)


def test_a_perfect_signal_leaves_nothing_to_guess():
    forecast = bayes_forecast(0.999999)
    assert forecast.accuracy > 0.999
    assert forecast.log_loss < 0.01


def test_drawn_returns_have_the_correlation():
    world = WorldOne(information_coefficient=0.3)
    rng = np.random.default_rng(0)
    signals = world.draw_signals(8, 200_000, rng)[:, :, 0, 0]
    returns = world.beta * signals + world.volatility * rng.standard_normal(signals.shape)
    for horizon in (1, 5, 8):
        drawn = np.corrcoef(signals[0], returns[:horizon].sum(axis=0))[0, 1]
        exact = correlation_with_return(0.9, 0.3, horizon)
        assert drawn == pytest.approx(exact, abs=4.0 / 200_000**0.5)


@pytest.mark.parametrize("correlation", [1.0, -1.0, float("nan")])
def test_a_correlation_out_of_range_is_refused(correlation):
    with pytest.raises(DataError, match="between -1 and 1"):
        bayes_forecast(correlation)


def test_a_horizon_of_no_bar_is_refused():
    with pytest.raises(DataError, match="horizon_bars was 0"):
        correlation_with_return(0.9, 0.1, 0)
