import time
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.governance.drift import (
    DriftReport,
    block_indices,
    measure_drift,
    population_stability,
)
from trading_assets.schema import conform
from trading_assets.strategy import GovernanceSpec

SPEC = GovernanceSpec()
N_REFERENCE, N_RECENT = 504, 63


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], phi: float) -> np.ndarray:
    shocks = rng.standard_normal((shape[0] + 100, *shape[1:])) * np.sqrt(1 - phi**2)
    values = np.zeros_like(shocks)
    for row in range(1, len(values)):
        values[row] = phi * values[row - 1] + shocks[row]
    return values[100:]


def windows(values: np.ndarray, n_recent: int = N_RECENT) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Values (sessions, symbols, features) as a reference and a recent feature table."""
    sessions, symbols, features = values.shape
    frame = pl.DataFrame(
        {
            "symbol": [f"S{n}" for n in range(symbols)] * sessions,
            "session": [
                date(2020, 1, 1) + timedelta(n) for n in range(sessions) for _ in "x" * symbols
            ],
            **{f"f{n}": values[:, :, n].reshape(-1).astype(np.float32) for n in range(features)},
        }
    )
    first_recent = date(2020, 1, 1) + timedelta(sessions - n_recent)
    is_recent = pl.col("session") >= first_recent
    return frame.filter(~is_recent), frame.filter(is_recent)


def report(values: np.ndarray, spec: GovernanceSpec = SPEC) -> DriftReport:
    reference, recent = windows(values)
    return measure_drift(reference, recent, tuple(f"f{n}" for n in range(values.shape[2])), spec)


def test_stationary_autocorrelated_features_seldom_alarm_where_the_textbook_rule_does() -> None:
    rng = np.random.default_rng(0)
    shape = (N_REFERENCE + N_RECENT, 3, 10)
    reports = [report(autoregressive(rng, shape, 0.9)) for _ in range(12)]
    table = pl.concat([one.table for one in reports])
    textbook = (table["psi"] > 0.1).mean()
    calibrated = table["is_drifted"].mean()
    assert isinstance(textbook, float)
    assert isinstance(calibrated, float)
    assert textbook > 0.5
    assert calibrated < 0.08
    assert sum(one.is_alarm for one in reports) <= 2


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_a_shift_of_the_mean_is_found(shift: float) -> None:
    values = autoregressive(np.random.default_rng(1), (N_REFERENCE + N_RECENT, 5, 6), 0.9)
    values[N_REFERENCE:, :, :3] += shift
    found = report(values)
    drifted = found.table["is_drifted"].to_list()
    assert sum(drifted[:3]) >= (3 if shift == 2.0 else 2)
    assert not any(drifted[3:])
    assert found.is_alarm
    assert found.drifted_share == sum(drifted) / 6


def test_a_change_of_scale_is_found() -> None:
    values = autoregressive(np.random.default_rng(2), (N_REFERENCE + N_RECENT, 5, 2), 0.5)
    values[N_REFERENCE:, :, 0] *= 3.0
    assert report(values).table["is_drifted"].to_list() == [True, False]


def test_a_feature_that_stops_arriving_has_drifted() -> None:
    values = autoregressive(np.random.default_rng(3), (N_REFERENCE + N_RECENT, 5, 2), 0.9)
    reference, recent = windows(values)
    recent = recent.with_columns(pl.lit(None, pl.Float32).alias("f0"))
    table = measure_drift(reference, recent, ("f0", "f1"), SPEC).table
    assert table["is_drifted"].to_list() == [True, False]
    assert table["ks"][0] == 1.0


def test_a_symbol_that_lists_in_the_reference_is_no_drift_and_hides_none() -> None:
    values = autoregressive(np.random.default_rng(9), (N_REFERENCE + N_RECENT, 4, 2), 0.9)
    complete = report(values).table
    values[:250, 3, :] = np.nan
    late = report(values).table
    assert late["is_drifted"].to_list() == [False, False]
    assert (late["threshold_psi"] < 2 * complete["threshold_psi"]).all()


def test_a_feature_that_is_constant_or_always_missing_has_not_drifted() -> None:
    values = np.ones((N_REFERENCE + N_RECENT, 2, 2))
    values[:, :, 1] = np.nan
    table = report(values).table
    assert table["is_drifted"].to_list() == [False, False]
    assert table["psi"].is_finite().all()


def test_the_stability_index_of_known_counts() -> None:
    reference, recent = np.array([49.5, 49.5]), np.array([79.5, 19.5])
    expected = 0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5)
    assert population_stability(reference, recent) == pytest.approx(expected, rel=1e-12)


def test_a_block_is_compared_with_sessions_that_are_not_next_to_it() -> None:
    counts = np.array([[9, 1], [8, 2], [7, 3], [4, 6], [3, 7], [5, 5], [6, 4], [2, 8]], float)
    rest = counts[[0, 5, 6, 7]].sum(axis=0)
    expected = population_stability(rest, counts[2] + counts[3])
    assert block_indices(counts, 2)[2] == pytest.approx(float(expected), rel=1e-12)
    assert len(block_indices(counts, 2)) == 7


def test_the_distance_is_that_of_scipy() -> None:
    from scipy.stats import ks_2samp

    values = autoregressive(np.random.default_rng(4), (N_REFERENCE + N_RECENT, 2, 1), 0.9)
    reference, recent = windows(values)
    expected = ks_2samp(reference["f0"].to_numpy(), recent["f0"].to_numpy()).statistic
    assert report(values).table["ks"][0] == pytest.approx(expected, abs=1e-12)


def test_a_report_is_a_drift_table_and_a_picture_and_repeats_itself() -> None:
    values = autoregressive(np.random.default_rng(5), (N_REFERENCE + N_RECENT, 2, 3), 0.9)
    one, again = report(values), report(values)
    conform("drift", one.table)
    assert one.plot_png.startswith(b"\x89PNG")
    assert one.plot_png == again.plot_png
    assert one.table.equals(again.table)


def test_the_order_of_rows_does_not_matter() -> None:
    values = autoregressive(np.random.default_rng(6), (N_REFERENCE + N_RECENT, 3, 2), 0.9)
    reference, recent = windows(values)
    shuffled = reference.sample(fraction=1.0, shuffle=True, seed=0)
    names = ("f0", "f1")
    expected = measure_drift(reference, recent, names, SPEC).table
    assert measure_drift(shuffled, recent, names, SPEC).table.equals(expected)


def test_24_features_of_5_symbols_take_less_than_two_seconds() -> None:
    values = autoregressive(np.random.default_rng(7), (N_REFERENCE + N_RECENT, 5, 24), 0.9)
    reference, recent = windows(values)
    names = tuple(f"f{n}" for n in range(24))
    begin = time.process_time()
    measure_drift(reference, recent, names, SPEC)
    assert time.process_time() - begin < 2.0


def test_windows_that_cannot_be_compared_are_refused() -> None:
    values = autoregressive(np.random.default_rng(8), (200, 2, 1), 0.9)
    reference, recent = windows(values)
    with pytest.raises(DataError, match="do not overlap"):
        measure_drift(recent, reference, ("f0",), SPEC)
    with pytest.raises(DataError, match="at least twice as long"):
        measure_drift(*windows(values, 100), ("f0",), SPEC)
    with pytest.raises(DataError, match="has no rows"):
        measure_drift(reference, recent.clear(), ("f0",), SPEC)
    with pytest.raises(DataError, match="lacks f9"):
        measure_drift(reference, recent, ("f9",), SPEC)
