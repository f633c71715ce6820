"""Which features say the same: rank correlations over the train rows, and clusters of them."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Mean distance 1 - |correlation| above which two clusters stay apart.
CUT_DISTANCE = 0.3
# Fewer common rows do not say whether two features are alike.
_LEAST_COMMON_ROWS = 30
# Squared relative spread below which values are equal but for the rounding of their mean.
_ROUNDING = 1e-24


def average_ranks(values: Array) -> Array:
    """Return ranks 1, 2, ... along the last axis, ties their mean rank; nan stays and ranks none.

    Parameters
    ----------
    values : float64 (..., n)
        Values, nan where unknown.
    """
    count = values.shape[-1]
    if not count:
        return values.copy()
    order = np.argsort(values, axis=-1)  # nan comes last
    ordered = np.take_along_axis(values, order, axis=-1)
    place = np.arange(count, dtype=np.float64)
    is_first = np.ones(values.shape, dtype=np.bool_)
    is_first[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    is_last = np.ones(values.shape, dtype=np.bool_)
    is_last[..., :-1] = is_first[..., 1:]
    first = np.maximum.accumulate(np.where(is_first, place, 0.0), axis=-1)
    last = np.where(is_last, place, count - 1.0)[..., ::-1]
    last = np.minimum.accumulate(last, axis=-1)[..., ::-1]
    tied = np.where(np.isnan(ordered), np.nan, 0.5 * (first + last) + 1.0)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, tied, axis=-1)
    return ranks


def correlate_pairs(left: Array, right: Array, least: int) -> tuple[Array, Array]:
    """Return correlations (n,) along the last axis of (n, m) and the m products they sum up.

    nan where fewer than `least` pairs are known, or where one side is constant.
    """
    is_known = ~np.isnan(left) & ~np.isnan(right)
    count = is_known.sum(axis=1, keepdims=True)
    is_defined = count >= least
    centred: list[Array] = []
    for side in (left, right):
        kept = np.where(is_known, side, 0.0)
        apart = np.where(is_known, kept - kept.sum(axis=1, keepdims=True) / np.maximum(count, 1), 0)
        size = np.abs(kept).max(axis=1, keepdims=True, initial=0.0)
        squares = (apart * apart).sum(axis=1, keepdims=True)
        is_defined &= squares > _ROUNDING * count * size * size
        centred.append(apart / np.sqrt(np.where(is_defined, squares, 1.0)))
    products = np.where(is_known & is_defined, centred[0] * centred[1], np.nan)
    correlations = np.where(is_defined[:, 0], np.nansum(products, axis=1), np.nan)
    return correlations, products


def correlate_features(
    features: pl.DataFrame, names: Sequence[str], sessions: Sequence[date]
) -> Array:
    """Return Spearman's correlation of each pair of features over the rows of some sessions.

    Parameters
    ----------
    features : DataFrame
        Table `features`; symbols are pooled.
    names : sequence of str
        F features, in the order of the result.
    sessions : sequence of date
        Sessions of the train window; other rows are not used.

    Returns
    -------
    float64 (F, F)
        nan for a feature that is null or constant, and for pairs with fewer than 30 common rows.
        Each feature is ranked once over its own known rows, and a pair correlated over the rows
        both know: exactly Spearman's where the same rows are known, close to it elsewhere.

    Raises
    ------
    DataError
        If a feature is missing.
    """
    rows = features.filter(pl.col("session").is_in(list(sessions)))
    return correlate_ranks(read_columns(rows, names))


def tabulate_correlations(correlations: Array, names: Sequence[str]) -> pl.DataFrame:
    """Return correlations (F, F) as the table `feature_correlations`, each pair once.

    Parameters
    ----------
    correlations : float64 (F, F)
        From `correlate_features`; symmetric, nan becomes null.
    names : sequence of str
        The F features.
    """
    rows, columns = np.triu_indices(len(names))
    named = pl.Series(names, dtype=pl.String)
    return pl.DataFrame(
        {
            "feature": named.gather(rows),
            "other": named.gather(columns),
            "correlation": pl.Series(correlations[rows, columns], dtype=pl.Float64).fill_nan(None),
        }
    )


def lay_correlations(table: pl.DataFrame, names: Sequence[str]) -> Array:
    """Return the table `feature_correlations` as an array (F, F), in the order of `names`."""
    place = {name: position for position, name in enumerate(names)}
    rows = [place[name] for name in table["feature"].to_list()]
    columns = [place[name] for name in table["other"].to_list()]
    correlations = np.full((len(names), len(names)), np.nan)
    known = table["correlation"].fill_null(np.nan).to_numpy()
    correlations[rows, columns] = known
    correlations[columns, rows] = known
    return correlations


def read_columns(rows: pl.DataFrame, names: Sequence[str]) -> Array:
    """Return columns of the table `features` as float64 (F, rows), nan where null.

    Raises
    ------
    DataError
        If a feature is missing, or holds nan or infinity instead of null.
    """
    missing = [name for name in names if name not in rows.columns]
    if missing:
        msg = (
            f"table features lacks {', '.join(missing)}; expected the features that are declared:"
            f" materialize features again"
        )
        raise DataError(msg)
    columns = np.empty((len(names), rows.height))
    for row, name in enumerate(names):
        known = rows[name].cast(pl.Float64)
        broken = int((~known.drop_nulls().is_finite()).sum())
        if broken:
            msg = (
                f"feature {name} is nan or infinite in {broken} rows; expected null where it is"
                f" unknown: materialize features again"
            )
            raise DataError(msg)
        columns[row] = known.fill_null(np.nan).to_numpy()
    return columns


def correlate_ranks(values: Array) -> Array:
    """Return the rank correlations (F, F) of the rows of `values` (F, R); see correlate_features.

    Twice a centred rank is an integer, so the sums below are exact up to some 300,000 rows, and the
    result does not depend on the order in which a matrix product adds.
    """
    is_known = ~np.isnan(values)
    known = is_known.sum(axis=1, keepdims=True)
    ranks = np.empty_like(values)
    for row, line in enumerate(values):
        ranks[row] = average_ranks(line)
    centred = np.where(is_known, 2.0 * ranks - (known + 1.0), 0.0)
    weight = is_known.astype(np.float64)
    count = weight @ weight.T
    total = centred @ weight.T
    squares = (centred * centred) @ weight.T
    safe = np.where(count >= _LEAST_COMMON_ROWS, count, np.nan)
    spread = squares - total * total / safe
    product = centred @ centred.T - total * total.T / safe
    # Ranks that differ spread by at least 1/2; what is left of equal ones is rounding.
    is_constant = spread < 1e-6 * np.maximum(squares, 1.0)
    root = np.sqrt(np.where(is_constant, np.nan, spread))
    return np.clip(product / (root * root.T), -1.0, 1.0)


def cluster_features(correlations: Array) -> Index:
    """Return the cluster (F,) of each feature, from 1 by first member; 0 where it has none.

    Average linkage on the distance 1 - |correlation|, cut at 0.3: the members of a cluster
    correlate by more than 0.7 on average. A pair without a correlation is at distance 1.

    Parameters
    ----------
    correlations : float64 (F, F)
        From `correlate_features`.
    """
    clusters = np.zeros(len(correlations), dtype=np.int64)
    kept = _defined(correlations)
    if len(kept) < 2:
        clusters[kept] = 1
        return clusters
    from scipy.cluster.hierarchy import fcluster

    found = fcluster(_link(correlations, kept), t=CUT_DISTANCE, criterion="distance")
    seen: dict[int, int] = {}
    clusters[kept] = [seen.setdefault(number, len(seen) + 1) for number in found.tolist()]
    return clusters


def name_representatives(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with `representative`: the feature of the largest |t| in its cluster.

    Parameters
    ----------
    table : DataFrame
        feature, t_newey_west and cluster; null in a cluster counts as weakest, and the first of
        equals is taken.
    """
    strength = pl.col("t_newey_west").abs().fill_null(-1.0)
    best = pl.col("feature").get(strength.arg_max()).over("cluster")
    return table.with_columns(representative=pl.when(pl.col("cluster").is_not_null()).then(best))


def order_alike(correlations: Array) -> Index:
    """Return the features (K,) that have a cluster, alike ones side by side, clusters whole."""
    kept = _defined(correlations)
    if len(kept) < 3:
        return kept
    from scipy.cluster.hierarchy import leaves_list

    return kept[leaves_list(_link(correlations, kept))]


def _defined(correlations: Array) -> Index:
    return np.flatnonzero(~np.isnan(np.diagonal(correlations)))


def _link(correlations: Array, kept: Index) -> Array:
    from scipy.cluster.hierarchy import linkage

    alike = np.abs(np.nan_to_num(correlations[np.ix_(kept, kept)], nan=0.0))
    upper = np.triu_indices(len(kept), 1)
    return np.asarray(linkage(1.0 - alike[upper], method="average"), dtype=np.float64)
