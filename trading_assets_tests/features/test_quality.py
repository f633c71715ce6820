from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from trading_assets.errors import DataError, UserError
from trading_assets.features.information_coefficient import CROSS_SECTION, TIME_SERIES
from trading_assets.features.newey_west import choose_lag
from trading_assets.features.quality import QUALITY_SCHEMA, measure_quality
from trading_assets.forecast.labels import compute_labels
from trading_assets_tests.features.labelled_tables import (
    HORIZON,
    START,
    lasting_noise,
    make_tables,
    overlapping_returns,
)
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS, make_bars


def row_of(table: pl.DataFrame, feature: str) -> dict:
    return table.row(by_predicate=pl.col("feature") == feature, named=True)


def planted(symbols: int, count: int = 400, seed: int = 1):
    rng = np.random.default_rng(seed)
    returns = overlapping_returns(rng, symbols, count)
    signal = returns / returns.std()
    return make_tables(
        {
            "with": 0.3 * signal + rng.normal(size=returns.shape),
            "against": -0.3 * signal + rng.normal(size=returns.shape),
            "noise": rng.normal(size=returns.shape),
        },
        returns,
    )


@pytest.mark.parametrize(("symbols", "form"), [(12, CROSS_SECTION), (4, TIME_SERIES)])
def test_a_planted_signal_is_found_with_its_sign(symbols: int, form: str):
    features, labels, days = planted(symbols)
    table = measure_quality(features, labels, ["with", "against", "noise"], days, HORIZON)
    assert table["ic_form"].to_list() == [form] * 3
    assert row_of(table, "with")["t_newey_west"] > 5.0
    assert row_of(table, "against")["t_newey_west"] < -5.0
    assert abs(row_of(table, "noise")["t_newey_west"]) < 2.5
    assert row_of(table, "with")["rank_ic"] > 0.1 > -0.1 > row_of(table, "against")["rank_ic"]
    assert row_of(table, "with")["p_holm"] < 1e-4 < row_of(table, "noise")["p_holm"]


@pytest.mark.parametrize("symbols", [9, 3])
def test_rank_ic_and_t_are_those_of_spearman_and_of_statsmodels(symbols: int):
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(2)
    returns = overlapping_returns(rng, symbols, 300)
    values = np.round(lasting_noise(rng, returns.shape, 0.8), 1)
    values[0, :60] = np.nan
    features, labels, days = make_tables({"x": values}, returns)
    found = row_of(measure_quality(features, labels, ["x"], days, HORIZON), "x")
    # Labels of the last sessions end after the window.
    pairs = np.stack((values, returns))[:, :, :-HORIZON]
    if symbols == 9:
        across = pairs.transpose(2, 0, 1)
        ics = np.array([stats.spearmanr(*p[:, ~np.isnan(p[0])]).statistic for p in across])
        assert found["rank_ic"] == pytest.approx(ics.mean(), abs=1e-12)
        lag = choose_lag(len(ics), HORIZON)
        fit = OLS(ics, np.ones(len(ics))).fit(cov_type="HAC", cov_kwds={"maxlags": lag})
        assert found["t_newey_west"] == pytest.approx(fit.tvalues[0], rel=1e-9)
        assert found["p_value"] == pytest.approx(
            2.0 * stats.t.sf(abs(fit.tvalues[0]), 1.5 * len(ics) / (lag + 1)), rel=1e-9
        )
    else:
        by_symbol = pairs.transpose(1, 0, 2)
        ics = [stats.spearmanr(*p[:, ~np.isnan(p[0])]).statistic for p in by_symbol]
        assert found["rank_ic"] == pytest.approx(np.mean(ics), abs=1e-12)
    assert found["ic_sessions"] == 300 - HORIZON


@pytest.mark.parametrize(("symbols", "memory"), [(6, 0.0), (6, 0.9), (3, 0.9)])
def test_noise_seldom_shows_a_large_t_though_labels_overlap(symbols: int, memory: float):
    rng = np.random.default_rng(7)
    returns = overlapping_returns(rng, symbols, 756)
    noise = lasting_noise(rng, (200, *returns.shape), memory)
    names = [f"noise_{row}" for row in range(200)]
    features, labels, days = make_tables(dict(zip(names, noise, strict=True)), returns)
    table = measure_quality(features, labels, names, days, HORIZON)
    size = (table["t_newey_west"].abs() > 2.0).mean()
    # Nominally 0.05, of 200 draws +-0.03; with lag HORIZON - 1 lasting noise shows 0.10.
    assert 0.02 <= size <= 0.09
    assert (table["p_holm"] < 0.05).sum() <= 1


def test_nothing_after_the_train_window_changes_the_table():
    features, labels, days = planted(6, count=300)
    train = days[:200]
    names = ["with", "against", "noise"]
    table = measure_quality(features, labels, names, train, HORIZON)
    is_later = pl.col("session") > train[-1]
    other_features = features.with_columns(
        pl.when(is_later).then(pl.lit(3.0)).otherwise(pl.col(name)).alias(name) for name in names
    )
    ends_later = pl.col("label_end") > train[-1]
    other_labels = labels.with_columns(
        forward_return=pl.when(ends_later).then(9.0).otherwise(pl.col("forward_return"))
    )
    newcomer = other_features.filter(is_later).with_columns(symbol=pl.lit("NEW"))
    later = measure_quality(
        pl.concat([other_features, newcomer]), other_labels, names, train, HORIZON
    )
    assert later.equals(table)
    cut = measure_quality(
        features.filter(~is_later), labels.filter(~ends_later), names, train, HORIZON
    )
    assert cut.equals(table)
    assert table["ic_sessions"].to_list() == [200 - HORIZON] * 3


def test_the_order_of_rows_and_sessions_does_not_matter():
    features, labels, days = planted(6, count=150)
    names = ["with", "noise"]
    table = measure_quality(features, labels, names, days, HORIZON)
    shuffled = measure_quality(
        features.sample(fraction=1.0, shuffle=True, seed=1),
        labels.sample(fraction=1.0, shuffle=True, seed=2),
        names,
        days[::-1],
        HORIZON,
    )
    assert shuffled.equals(table)


def test_null_and_constant_features_have_no_rank_ic_and_no_cluster():
    rng = np.random.default_rng(5)
    returns = overlapping_returns(rng, 6, 200)
    values = {
        "empty": np.full(returns.shape, np.nan),
        "same": np.full(returns.shape, 0.1),
        "real": rng.normal(size=returns.shape),
    }
    features, labels, days = make_tables(values, returns)
    table = measure_quality(features, labels, list(values), days, HORIZON)
    assert dict(table.schema) == QUALITY_SCHEMA
    empty, same, real = table.iter_rows(named=True)
    assert empty == {**dict.fromkeys(QUALITY_SCHEMA), "feature": "empty", "coverage": 0.0}
    assert same["coverage"] == 1.0
    assert same["rank_ic"] is None
    assert same["autocorrelation_1"] is None
    assert same["cluster"] is None
    assert same["representative"] is None
    assert real["p_holm"] == real["p_value"]
    assert real["representative"] == "real"


def test_coverage_and_clipped_share_are_of_rows_and_of_known_values():
    rng = np.random.default_rng(6)
    returns = overlapping_returns(rng, 2, 100)
    values = rng.uniform(-4.0, 4.0, returns.shape)
    values[0, :50] = np.nan
    values[1, :30] = 5.0
    values[1, 30:45] = -5.0
    features, labels, days = make_tables({"scaled": values, "raw": values}, returns)
    table = measure_quality(features, labels, ["scaled", "raw"], days, HORIZON, ["scaled"])
    assert table["coverage"].to_list() == [0.75, 0.75]
    assert table["clipped_share"].to_list() == [45 / 150, None]


def test_autocorrelation_pairs_a_symbols_own_sessions():
    rng = np.random.default_rng(8)
    values = np.stack((lasting_noise(rng, (300,), 0.9), lasting_noise(rng, (300,), 0.2) + 50.0))
    values[0, [5, 100, 101]] = np.nan
    features, labels, days = make_tables({"x": values}, overlapping_returns(rng, 2, 300))
    # A session at which only the other symbol traded still counts as one.
    absent = (pl.col("symbol") == "S00") & (pl.col("session") == days[200])
    table = measure_quality(features.filter(~absent), labels, ["x"], days, HORIZON)
    values[0, 200] = np.nan

    def expected(lag: int) -> float:
        frames = [pl.DataFrame({"a": v[lag:], "b": v[:-lag]}) for v in values]
        kept = [frame.filter(~pl.any_horizontal(pl.all().is_nan())) for frame in frames]
        return float(np.mean([np.corrcoef(frame["a"], frame["b"])[0, 1] for frame in kept]))

    assert table["autocorrelation_1"][0] == pytest.approx(expected(1), abs=1e-12)
    assert table["autocorrelation_horizon"][0] == pytest.approx(expected(HORIZON), abs=1e-12)


def test_a_feature_of_the_whole_market_is_judged_over_time():
    rng = np.random.default_rng(9)
    returns = overlapping_returns(rng, 8, 400)
    market = returns.mean(axis=0) / returns.mean(axis=0).std() + rng.normal(size=400)
    values = {"market": np.tile(market, (8, 1)), "own": rng.normal(size=returns.shape)}
    features, labels, days = make_tables(values, returns)
    table = measure_quality(features, labels, list(values), days, HORIZON)
    assert table["ic_form"].to_list() == [TIME_SERIES, CROSS_SECTION]
    assert table["t_newey_west"][0] > 4.0


def test_a_short_window_has_a_rank_ic_but_no_t():
    features, labels, days = planted(6, count=60)
    enough = choose_lag(40, HORIZON) * 3 + 3
    short = measure_quality(features, labels, ["with"], days[: enough + HORIZON - 1], HORIZON)
    assert short["rank_ic"][0] is not None
    assert short.select("t_newey_west", "p_value", "p_holm").row(0) == (None, None, None)
    longer = measure_quality(features, labels, ["with"], days[: enough + HORIZON], HORIZON)
    assert longer["t_newey_west"][0] is not None


def test_p_values_are_adjusted_as_by_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(14)
    returns = overlapping_returns(rng, 6, 300)
    signal = returns / returns.std()
    strengths = [0.0, 0.08, 0.12, 0.05, 0.0, 0.1]
    values = {f"f{k}": s * signal + rng.normal(size=signal.shape) for k, s in enumerate(strengths)}
    values["empty"] = np.full(returns.shape, np.nan)
    features, labels, days = make_tables(values, returns)
    table = measure_quality(features, labels, list(values), days, HORIZON)
    expected = multipletests(table["p_value"].drop_nulls().to_numpy(), method="holm")[1]
    np.testing.assert_allclose(table["p_holm"].drop_nulls().to_numpy(), expected, rtol=1e-12)
    assert table["p_holm"].null_count() == 1
    assert expected.min() < 0.05 < expected.max()


def test_labels_of_bars_are_read_as_they_are_computed():
    bars = make_bars(symbols=("AAA", "BBB", "CCC"), count=150)
    labels = compute_labels(bars, NO_ACTIONS, HORIZON)
    days = bars["session"].unique().sort().to_list()
    foresight = bars.select("symbol", "session").join(
        labels.select("symbol", "session", x="forward_return"), on=["symbol", "session"], how="left"
    )
    found = row_of(measure_quality(foresight, labels, ["x"], days[:100], HORIZON), "x")
    assert found["rank_ic"] == pytest.approx(1.0, abs=1e-12)
    assert found["ic_sessions"] == 100 - HORIZON


def test_what_cannot_be_measured_is_refused():
    features, labels, days = planted(3, count=60)
    with pytest.raises(UserError, match="horizon_bars was 0; expected at least 1"):
        measure_quality(features, labels, ["with"], days, 0)
    with pytest.raises(DataError, match="table features lacks unknown"):
        measure_quality(features, labels, ["with", "unknown"], days, HORIZON)
    infinite = features.with_columns(pl.lit(float("inf")).alias("with"))
    with pytest.raises(DataError, match="feature with is nan or infinite in 180 rows"):
        measure_quality(infinite, labels, ["with"], days, HORIZON)
    with pytest.raises(DataError, match="0 rows in the train window 1990-01-01 to 1990-01-01"):
        measure_quality(features, labels, ["with"], [START - timedelta(5113)], HORIZON)
    with pytest.raises(DataError, match="0 rows in the train window of no sessions"):
        measure_quality(features, labels, ["with"], [], HORIZON)
