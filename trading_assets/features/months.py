"""Computes the features of whole months and proves what is claimed of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import (
    OPTIONAL_GROUPS,
    feature_names,
    feature_of,
    warm_up_bars,
)
from trading_assets.features.causality import draw_moments, find_leaks_of_months
from trading_assets.features.compute import compute_features, compute_month
from trading_assets.features.scrambling import FeatureInputs
from trading_assets.features.windows import input_window


@dataclass(frozen=True, slots=True)
class ComputedMonths:
    """Features of some months with the evidence of the blocking checks.

    Attributes
    ----------
    months : mapping of str to DataFrame
        Table `features` by partition key.
    names : tuple of str
        Feature columns.
    leaks : list of str
        One sentence for each column that knew the future.
    gaps : list of str
        One sentence for each column that is null or infinite after its warm-up.
    moments : list of str
        Sessions after which the future was changed.
    null_share : float
        Share of null values over all feature columns, warm-up included.
    """

    months: Mapping[str, pl.DataFrame]
    names: tuple[str, ...]
    leaks: list[str]
    gaps: list[str]
    moments: list[str]
    null_share: float


def compute_months(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    spec: FeaturesSpec,
    first_days: Mapping[str, date],
) -> ComputedMonths:
    """Compute the features of some months and look for leaks and gaps.

    Parameters
    ----------
    bars, actions, series : DataFrame
        Tables validated_bars, corporate_actions and series, with the months before.
    spec : FeaturesSpec
        Which features.
    first_days : mapping of str to date
        First day of each month by partition key.
    """
    names = feature_names(spec)
    months = {
        key: compute_month(bars, actions, series, spec, first) for key, first in first_days.items()
    }
    moments = _moments(bars, first_days)
    leaks = _leaks_near(bars, actions, series, spec, moments)
    rows = pl.concat(list(months.values()))
    nulls = sum(int(rows[name].null_count()) for name in names)
    return ComputedMonths(
        months=months,
        names=names,
        leaks=leaks,
        gaps=_gaps(bars, months, first_days, spec, names),
        moments=[day.isoformat() for day in moments],
        null_share=nulls / max(1, len(rows) * len(names)),
    )


def _moments(bars: pl.DataFrame, first_days: Mapping[str, date]) -> list[date]:
    return draw_moments(bars["session"].unique().to_list(), first_days.values())


def _leaks_near(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    spec: FeaturesSpec,
    moments: Sequence[date],
) -> list[str]:
    def compute(
        b: pl.DataFrame, a: pl.DataFrame, s: pl.DataFrame, sessions: Sequence[date]
    ) -> pl.DataFrame:
        return compute_features(b, a, s, spec, sessions)

    return find_leaks_of_months(compute, FeatureInputs(bars, actions, series), moments)


def _gaps(
    bars: pl.DataFrame,
    months: Mapping[str, pl.DataFrame],
    first_days: Mapping[str, date],
    spec: FeaturesSpec,
    names: Sequence[str],
) -> list[str]:
    warm_up = np.array([warm_up_bars(name, spec) for name in names])
    # Without a source its features are null; a source that breaks off is carried on.
    is_optional = np.array(
        [feature_of(name, spec.module).group in OPTIONAL_GROUPS for name in names]
    )
    found = np.zeros(len(names), dtype=np.int64)
    counted_from: dict[str, str] = {}
    for key, frame in months.items():
        counts = _bar_counts(bars, first_days[key])
        rows = frame.join(counts, on=["symbol", "session"], how="left", maintain_order="left")
        values = rows.select(names).to_numpy()
        is_warm = rows["bars_held"].to_numpy()[:, None] >= warm_up
        is_null = rows.select(pl.col(names).is_null()).to_numpy()
        is_gap = is_warm & ~np.isfinite(values) & ~(is_null & is_optional)
        missing = is_gap.sum(axis=0)
        for name in np.array(names)[missing > 0].tolist():
            counted_from.setdefault(name, key)
        found += missing
    return [
        f"feature {name} is null or infinite in {count} rows after its warm-up of"
        f" {warm_up_bars(name, spec)} bars, first in {counted_from[name]};"
        f" {feature_of(name, spec.module).formula}"
        for name, count in zip(names, found.tolist(), strict=True)
        if count
    ]


def _bar_counts(bars: pl.DataFrame, month: date) -> pl.DataFrame:
    first, last = input_window(month)
    return (
        bars.filter(pl.col("session").is_between(first, last))
        .sort("symbol", "session")
        .select(
            "symbol", "session", pl.int_range(1, pl.len() + 1).over("symbol").alias("bars_held")
        )
    )
