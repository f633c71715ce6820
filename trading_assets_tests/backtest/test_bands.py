from dataclasses import replace

import numpy as np
import pytest

from trading_assets.backtest.bands import band_of, bands_of
from trading_assets.backtest.bootstrap import cagr_interval
from trading_assets.backtest.figures import Bootstrap, Judgement
from trading_assets.backtest.metrics import BARS_PER_YEAR, drawdowns, growth
from trading_assets.backtest.track_record import TrackRecord

JUDGEMENT = Judgement(trials=1, trial_variance=None, samples=400, confidence=0.95, seed=3)


def record_of(returns: np.ndarray, folds: int = 1) -> TrackRecord:
    bars = len(returns)
    keys = np.repeat([f"{2001 + fold}-01-01" for fold in range(folds)], -(-bars // folds))[:bars]
    days = np.datetime64("2001-01-01", "D") + np.arange(bars)
    zeros = np.zeros(bars)
    return TrackRecord("ppo/ensemble", (), days, keys, returns, zeros, zeros, zeros, zeros)


def noise(bars: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0.0005, 0.01, bars)


def bootstrap_of(record: TrackRecord) -> Bootstrap:
    return Bootstrap({record.portfolio: record}, JUDGEMENT)


def test_the_band_is_the_pointwise_quantiles_of_resampled_curves():
    record = record_of(noise(60))
    bootstrap = bootstrap_of(record)
    band = band_of(record, bootstrap, 0.9)
    paths = [record.returns[order] for order in bootstrap.positions(60)]
    rising = np.quantile([growth(path) for path in paths], [0.05, 0.95], axis=0)
    falling = np.quantile([drawdowns(path) for path in paths], [0.05, 0.95], axis=0)
    assert band.places.tolist() == list(range(60))
    np.testing.assert_allclose([band.growth_low, band.growth_high], rising, rtol=1e-12)
    np.testing.assert_allclose([band.drawdown_low, band.drawdown_high], falling, atol=1e-12)


def test_the_band_ends_at_the_interval_of_growth_a_year():
    record = record_of(noise(700))
    bootstrap = bootstrap_of(record)
    band = band_of(record, bootstrap, 0.95)
    interval = cagr_interval(record.returns, bootstrap.positions(700), 0.95)
    years = 700 / BARS_PER_YEAR
    # Quantiles between two samples are interpolated on another scale.
    assert band.growth_low[-1] == pytest.approx((1 + interval.low) ** years, rel=2e-3)
    assert band.growth_high[-1] == pytest.approx((1 + interval.high) ** years, rel=2e-3)


def test_a_constant_return_has_a_band_without_width():
    band = band_of(record_of(np.full(30, 0.01)), bootstrap_of(record_of(noise(30))), 0.95)
    np.testing.assert_allclose(band.growth_low, 1.01 ** np.arange(1, 31), rtol=1e-12)
    np.testing.assert_allclose(band.growth_high, 1.01 ** np.arange(1, 31), rtol=1e-12)
    assert not band.drawdown_high.any()


def test_a_first_bar_that_loses_is_a_drawdown():
    band = band_of(record_of(np.full(5, -0.1)), bootstrap_of(record_of(noise(5))), 0.95)
    assert band.drawdown_low[0] == pytest.approx(0.1)


def test_a_long_record_has_few_points_with_both_ends_of_every_fold():
    record = record_of(noise(2000), folds=8)
    band = band_of(record, bootstrap_of(record), 0.95)
    assert len(band.places) <= 180
    assert np.all(np.diff(band.places) > 0)
    ends = np.flatnonzero(record.folds[1:] != record.folds[:-1])
    assert {0, 1999, *ends.tolist(), *(ends + 1).tolist()} <= set(band.places.tolist())


def test_samples_in_parts_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch):
    record = record_of(noise(50))
    parts = band_of(record, bootstrap_of(record), 0.95)
    monkeypatch.setattr("trading_assets.backtest.bands._PATHS_AT_ONCE", 1000)
    whole = band_of(record, bootstrap_of(record), 0.95)
    for name in ("growth_low", "growth_high", "drawdown_low", "drawdown_high"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_bands_are_by_portfolio():
    first = record_of(noise(20))
    second = replace(first, portfolio="sac/ensemble")
    bands = bands_of([first, second], bootstrap_of(first), 0.95)
    assert list(bands) == ["ppo/ensemble", "sac/ensemble"]
