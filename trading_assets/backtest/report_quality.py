"""What the report says of features: a table and two drawings for each fold's training days."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from html import escape
from typing import Any

import polars as pl

from trading_assets.backtest.cells import DASH, number, percent
from trading_assets.backtest.page_parts import Drawing, FoldFeatures, Table
from trading_assets.backtest.svg import tidy
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.features.information_coefficient import TIME_SERIES
from trading_assets.features.quality import FeatureQuality
from trading_assets.features.quality_plots import (
    LARGE_T,
    count_trials,
    draw_correlations,
    draw_quality,
)
from trading_assets.features.redundancy import CUT_DISTANCE, lay_correlations


def fold_features(folds: Sequence[FoldRecord]) -> list[FoldFeatures]:
    """Return what the features of each fold that has it were worth, newest fold first.

    Parameters
    ----------
    folds : sequence of FoldRecord
        In any order.
    """
    shown: list[FoldFeatures] = []
    for record in sorted(folds, key=lambda record: record.fold.key, reverse=True):
        if record.features is None:
            continue
        fold = record.fold
        last_day = fold.validation_start - timedelta(days=1)
        shown.append(
            FoldFeatures(
                title=f"Fold {fold.key}: training days {fold.train_start} to {last_day}",
                sentence=count_trials(record.features.features).sentence,
                drawings=_draw(record.features, record.fold.key),
                table=quality_table(record.features.features),
            )
        )
    return shown


def feature_notes() -> list[str]:
    """Return how the feature tables are to be read, chance first."""
    return [
        "Judged on the days that the fold's models train on, no later ones: neither validation nor"
        " test days, and no label that ends on them. Nothing here chose a feature.",
        f"Of many worthless features some show |t| > {LARGE_T:g} by chance; p, Holm is corrected"
        " for the features of its own fold. Train windows of neighbouring folds overlap, so a"
        " feature that is significant in both has not been found twice.",
        "Rank-IC: Spearman's correlation with the return over the label's horizon, across symbols"
        " and averaged over sessions; with too few symbols over time and averaged over symbols."
        " t: Newey-West, with a lag of at least twice the horizon.",
        f"Cluster: features whose rank correlation is above {1.0 - CUT_DISTANCE:g} in size on"
        " average (average linkage). Pale rows have a stronger feature in their cluster, or no t.",
    ]


def quality_table(table: pl.DataFrame) -> Table:
    """Return the quality of features by falling |t|; those that another stands for are paler.

    Parameters
    ----------
    table : DataFrame
        From `measure_quality`.
    """
    rows = table.sort(
        pl.col("t_newey_west").abs(), descending=True, nulls_last=True, maintain_order=True
    ).to_dicts()
    return Table(
        caption="Features by size of t",
        header=[
            "Feature",
            "Rank-IC",
            "t",
            "p",
            "p, Holm",
            "Coverage",
            "Clipped",
            "Autocorr. 1",
            "Autocorr. horizon",
            "Ranked over",
            "Sessions",
            "Stronger alike",
        ],
        rows=[_row(row) for row in rows],
        muted=frozenset(
            index
            for index, row in enumerate(rows)
            if row["t_newey_west"] is None or _stronger(row) is not None
        ),
    )


def feature_figures(folds: Sequence[FoldRecord]) -> dict[str, dict[str, object]]:
    """Return the fields of `Trials` by fold."""
    return {
        record.fold.key: asdict(count_trials(record.features.features))
        for record in sorted(folds, key=lambda record: record.fold.key)
        if record.features is not None
    }


def _draw(quality: FeatureQuality, fold: str) -> list[Drawing]:
    table = quality.features
    names: list[str] = table["feature"].to_list()
    sizes = table["cluster"].drop_nulls().value_counts()["count"]
    several = int((sizes > 1).sum())
    correlations = lay_correlations(quality.correlations, names)
    return [
        Drawing(
            tidy(draw_quality(table), fold),
            f"Rank-IC with 2 Newey-West errors to each side, blue where |t| > {LARGE_T:g}; right:"
            " share of rows with a value.",
        ),
        Drawing(
            tidy(draw_correlations(correlations, names, table["cluster"]), fold),
            f"Rank correlations, alike features side by side; outlined: {several} clusters of more"
            " than one. Grey: too few common rows.",
        ),
    ]


def _row(row: Mapping[str, Any]) -> list[str]:
    form = row["ic_form"]
    return [
        escape(row["feature"]),
        number(_float(row["rank_ic"]), 3),
        number(_float(row["t_newey_west"])),
        number(_float(row["p_value"]), 3),
        number(_float(row["p_holm"]), 3),
        percent(row["coverage"]),
        percent(_float(row["clipped_share"])),
        number(_float(row["autocorrelation_1"])),
        number(_float(row["autocorrelation_horizon"])),
        DASH if form is None else "time" if form == TIME_SERIES else "symbols",
        number(_float(row["ic_sessions"]), 0),
        escape(_stronger(row) or DASH),
    ]


def _stronger(row: Mapping[str, Any]) -> str | None:
    return None if row["representative"] == row["feature"] else row["representative"]


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
