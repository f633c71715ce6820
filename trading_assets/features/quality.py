"""What each feature is worth on a train window: coverage, memory, rank-IC and redundancy.

Nothing here chooses features. Rows whose label ends after the window are left out, so a table says
nothing that a model of that window could not have known.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError, UserError
from trading_assets.features.compiled.scaling import CLIP
from trading_assets.features.information_coefficient import LEAST_SESSIONS, Grid, measure_ic
from trading_assets.features.redundancy import (
    cluster_features,
    correlate_pairs,
    correlate_ranks,
    name_representatives,
    read_columns,
)
from trading_assets.schema import TABLES

Array = NDArray[np.float64]
Index = NDArray[np.int64]

QUALITY_SCHEMA = TABLES["feature_quality"].empty().schema


@dataclass(frozen=True, slots=True)
class FeatureQuality:
    """What features were worth on one train window.

    Attributes
    ----------
    features : DataFrame
        Table `feature_quality`, a row a feature.
    correlations : DataFrame
        Table `feature_correlations`, a row a pair.
    """

    features: pl.DataFrame
    correlations: pl.DataFrame


def measure_quality(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    names: Sequence[str],
    sessions: Sequence[date],
    horizon_bars: int,
    scaled_names: Collection[str] | None = None,
) -> pl.DataFrame:
    """Return what each feature was worth on the train window, one row a feature.

    Parameters
    ----------
    features : DataFrame
        Table `features`; rows outside `sessions` are not used.
    labels : DataFrame
        Labels of `compute_labels`; those that end after the last of `sessions` are not used.
    names : sequence of str
        Features to judge.
    sessions : sequence of date
        Sessions of the train window.
    horizon_bars : int
        Bars from entry to exit of a label.
    scaled_names : collection of str, optional
        Features that are scaled; by default all.

    Returns
    -------
    DataFrame
        Columns of `QUALITY_SCHEMA`, null where undefined.

        - `coverage`: share of rows with a value; `clipped_share`: share of values at +-5.
        - `autocorrelation_1`, `_horizon`: correlation with the symbol's own value 1 and
          `horizon_bars` sessions before, mean over symbols.
        - `rank_ic`, `ic_form`, `ic_sessions`, `lag_sessions`, `t_newey_west`, `p_value`: Spearman's
          correlation with `forward_return`, see `measure_ic`.
        - `p_holm`: adjusted for all features judged, however they depend on each other (Holm,
          Scandinavian Journal of Statistics 6, 1979).
        - `cluster`: see `cluster_features`; `representative`: its member of the largest |t|.

    Raises
    ------
    UserError
        If the horizon is below 1.
    DataError
        If the window has no rows, or a feature is missing, nan or infinite.
    """
    if horizon_bars < 1:
        msg = f"horizon_bars was {horizon_bars}; expected at least 1: correct the forecast section"
        raise UserError(msg)
    days = sorted(set(sessions))
    rows = _rows_of_window(features, labels, days)
    values = read_columns(rows, names)
    grid = _place_rows(rows, days)
    returns = grid.lay(rows["forward_return"].fill_null(np.nan).to_numpy())
    measured: list[dict[str, object]] = []
    for name, column in zip(names, values, strict=True):
        is_scaled = scaled_names is None or name in scaled_names
        laid = grid.lay(column)
        measured.append(
            {
                "feature": name,
                **_describe_values(column, is_scaled),
                "autocorrelation_1": _autocorrelation(laid, 1),
                "autocorrelation_horizon": _autocorrelation(laid, horizon_bars),
                **_describe_ic(laid, returns, horizon_bars),
            }
        )
    table = pl.DataFrame(measured, schema=QUALITY_SCHEMA)
    clusters = cluster_features(correlate_ranks(values)).tolist()
    table = table.with_columns(
        pl.Series("p_holm", _adjust_holm(table["p_value"].to_list()), pl.Float64),
        pl.Series("cluster", [number or None for number in clusters], pl.Int64),
    )
    return name_representatives(table)


def _rows_of_window(
    features: pl.DataFrame, labels: pl.DataFrame, days: Sequence[date]
) -> pl.DataFrame:
    rows = features.filter(pl.col("session").is_in(days)).sort("symbol", "session")
    if not rows.height:
        window = f"{days[0]} to {days[-1]}" if days else "of no sessions"
        msg = (
            f"table features has 0 rows in the train window {window}; expected some: materialize"
            f" features, or start the folds later"
        )
        raise DataError(msg)
    ended = labels.filter(pl.col("label_end") <= days[-1]).select(
        "symbol", "session", pl.col("forward_return").cast(pl.Float64)
    )
    return rows.join(ended, on=["symbol", "session"], how="left", maintain_order="left")


def _place_rows(rows: pl.DataFrame, days: Sequence[date]) -> Grid:
    symbols = rows["symbol"].unique().sort().to_numpy()
    sessions = np.array(days, dtype="datetime64[D]")
    return Grid(
        np.searchsorted(symbols, rows["symbol"].to_numpy()),
        np.searchsorted(sessions, rows["session"].to_numpy().astype("datetime64[D]")),
        (len(symbols), len(sessions)),
    )


def _describe_values(column: Array, is_scaled: bool) -> dict[str, float | None]:
    known = column[~np.isnan(column)]
    clipped = float((np.abs(known) >= CLIP).mean()) if len(known) and is_scaled else None
    return {"coverage": len(known) / len(column), "clipped_share": clipped}


def _autocorrelation(laid: Array, lag: int) -> float | None:
    return _mean(correlate_pairs(laid[:, lag:], laid[:, :-lag], LEAST_SESSIONS)[0])


def _describe_ic(laid: Array, returns: Array, horizon_bars: int) -> dict[str, str | float | None]:
    ic = measure_ic(laid, returns, horizon_bars)
    if not ic.sessions:
        return {}
    return {
        "ic_form": ic.form,
        "rank_ic": ic.mean,
        "t_newey_west": None if math.isnan(ic.t) else ic.t,
        "ic_sessions": ic.sessions,
        "lag_sessions": ic.lag_sessions,
        "p_value": None if math.isnan(ic.p_value) else ic.p_value,
    }


def _mean(values: Array) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _adjust_holm(p_values: Sequence[float | None]) -> list[float | None]:
    tried = [row for row, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for place, row in enumerate(sorted(tried, key=lambda row: p_values[row] or 0.0)):
        largest = max(largest, min(1.0, (len(tried) - place) * (p_values[row] or 0.0)))
        adjusted[row] = largest
    return adjusted
