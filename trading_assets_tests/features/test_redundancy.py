import numpy as np
import polars as pl
import pytest
from scipy import stats

from trading_assets.features.quality import measure_quality
from trading_assets.features.redundancy import (
    average_ranks,
    cluster_features,
    correlate_features,
    correlate_ranks,
    lay_correlations,
    order_alike,
    tabulate_correlations,
)
from trading_assets.schema import conform
from trading_assets_tests.features.labelled_tables import (
    HORIZON,
    make_tables,
    overlapping_returns,
)


def test_clusters_find_planted_duplicates_and_name_the_strongest():
    rng = np.random.default_rng(10)
    returns = overlapping_returns(rng, 6, 400)
    signal = returns / returns.std() + rng.normal(size=returns.shape)
    values = {
        "apart": rng.normal(size=returns.shape),
        "weaker": signal + 0.5 * rng.normal(size=returns.shape),
        "mirrored": -signal,
        "other": rng.normal(size=returns.shape),
    }
    features, labels, days = make_tables(values, returns)
    table = measure_quality(features, labels, list(values), days, HORIZON)
    assert table["cluster"].to_list() == [1, 2, 2, 3]
    assert table["representative"].to_list() == ["apart", "mirrored", "mirrored", "other"]


def test_clusters_are_cut_where_features_correlate_by_less_than_seven_tenths():
    def clusters_at(correlation: float) -> list[int]:
        return cluster_features(np.array([[1.0, correlation], [correlation, 1.0]])).tolist()

    assert clusters_at(0.71) == clusters_at(-0.71) == [1, 1]
    assert clusters_at(0.69) == clusters_at(np.nan) == [1, 2]


def test_average_linkage_weighs_all_pairs_of_two_clusters():
    # The third is at 0.2 of the first and 0.5 of the second, on average more than the cut.
    correlations = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.5], [0.8, 0.5, 1.0]])
    assert cluster_features(correlations).tolist() == [1, 1, 2]
    assert sorted(order_alike(correlations).tolist()) == [0, 1, 2]


def test_ranks_are_those_of_scipy_with_ties_and_unknown_values():
    values = np.random.default_rng(11).integers(0, 6, (20, 15)).astype(float)
    values[np.random.default_rng(12).random(values.shape) < 0.2] = np.nan
    expected = stats.rankdata(values, axis=-1, nan_policy="omit")
    np.testing.assert_array_equal(average_ranks(values), expected)


def test_rank_correlations_are_those_of_scipy_over_the_train_rows():
    rng = np.random.default_rng(13)
    returns = overlapping_returns(rng, 3, 120)
    values = {"a": np.round(rng.normal(size=returns.shape), 1), "b": rng.normal(size=(3, 120))}
    values["c"] = values["a"] ** 3 + values["b"]
    for column in values.values():
        column[0, :40] = np.nan
    features, _, days = make_tables(values, returns)
    found = correlate_features(features, ["a", "b", "c"], days[:100])
    rows = features.filter(pl.col("session") < days[100]).drop_nulls()
    expected = stats.spearmanr(rows.select("a", "b", "c").to_numpy()).statistic
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_features_without_common_rows_have_no_correlation():
    values = np.full((2, 100), np.nan)
    values[0, :60] = np.arange(60)
    values[1, 45:] = np.arange(55)
    assert np.isnan(correlate_ranks(values)[0, 1])
    values[1, 30:] = np.arange(70)
    assert correlate_ranks(values)[0, 1] == pytest.approx(1.0, abs=1e-12)


def test_correlations_come_back_from_their_table():
    correlations = np.array([[1.0, 0.25, np.nan], [0.25, 1.0, -0.5], [np.nan, -0.5, np.nan]])
    table = tabulate_correlations(correlations, ["b", "a", "c"])
    assert conform("feature_correlations", table).equals(table)
    assert table.rows()[:3] == [("b", "b", 1.0), ("b", "a", 0.25), ("b", "c", None)]
    assert table.height == 6
    np.testing.assert_array_equal(lay_correlations(table, ["b", "a", "c"]), correlations)
    swapped = lay_correlations(table.reverse(), ["a", "b", "c"])
    np.testing.assert_array_equal(swapped[0], [1.0, 0.25, -0.5])
    assert tabulate_correlations(np.empty((0, 0)), []).is_empty()
