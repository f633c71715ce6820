"""Counts of a month's bars, and the verdict that follows from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from trading_assets.bars.calendars.coverage import bar_name, first_few, missing_sentence, month_key
from trading_assets.bars.validation.row_rules import UNIQUENESS
from trading_assets.market_data import ValidationSpec
from trading_assets.source_specs import BarLength

_NAMED_AT_MOST = 6  # one more than a sentence names


def count_by_month(months: Sequence[str], parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return how many rows each of `parts` has in each of `months`.

    Parameters
    ----------
    months : sequence of str
        Months, first days as `YYYY-MM-DD`.
    parts : mapping of str to DataFrame
        Rows with a session, and `count` where a row stands for several; the names become columns.

    Returns
    -------
    DataFrame
        month, then one Int64 column a part.
    """
    counts = pl.concat(
        [
            (frame if "count" in frame.columns else session_counts(frame)).select(
                "session", pl.col("count").cast(pl.Int64), pl.lit(name).alias("part")
            )
            for name, frame in parts.items()
        ]
    )
    by_month = counts.group_by(month_key(), "part").agg(pl.col("count").sum())
    return (
        pl.DataFrame({"month": list(months)}, schema={"month": pl.String})
        .join(
            by_month.pivot("part", on_columns=list(parts), index="month", values="count"),
            on="month",
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col(list(parts)).fill_null(0))
    )


def session_counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return session and count of each run of equal sessions, far fewer than bars.

    Months are text and slow to make: this makes them once a run instead of once a bar.
    """
    runs = rows["session"].rle().struct.unnest()
    return runs.select(pl.col("value").alias("session"), pl.col("len").alias("count"))


def judge_months(counts: pl.DataFrame, bounds: ValidationSpec) -> pl.DataFrame:
    """Return `counts` with shares, bounds and `verdict`, one row a month.

    Parameters
    ----------
    counts : DataFrame
        month and counts of bars: `expected`, `received`, `passed`, `expected_and_passed`,
        `duplicated` and `missing`, and any others.
    bounds : ValidationSpec
        Largest shares; a month fails beyond them, or when a bar is duplicated.
    """
    has_passed = (
        (pl.col("missing_share") <= pl.col("max_missing_share"))
        & (pl.col("quarantine_share") <= pl.col("max_quarantine_share"))
        & (pl.col("duplicated") == 0)
    )
    return (
        counts.with_columns((pl.col("received") - pl.col("passed")).alias("quarantined"))
        .with_columns(
            _share("missing", "expected").fill_null(0.0).alias("missing_share"),
            pl.lit(bounds.max_missing_share).alias("max_missing_share"),
            _share("quarantined", "received").fill_null(0.0).alias("quarantine_share"),
            pl.lit(bounds.max_quarantine_share).alias("max_quarantine_share"),
            (100 * _share("expected_and_passed", "expected")).alias("data_quality_pct"),
        )
        .with_columns(
            pl.when(has_passed).then(pl.lit("passed")).otherwise(pl.lit("failed")).alias("verdict")
        )
    )


def refusals(
    row: Mapping[str, Any], missing: pl.DataFrame, quarantine: pl.DataFrame, bar_length: BarLength
) -> list[str]:
    """Return one sentence for each reason why a month is refused.

    Parameters
    ----------
    row : mapping
        The month's row of `judge_months`.
    missing, quarantine : DataFrame
        Missing bars and table `quarantine` of the month; they name examples.
    bar_length : {"1d", "1h", "5m", "1m"}
        Decides how a bar is named.
    """
    month = row["month"][:7]
    reasons: list[str] = []
    if row["duplicated"]:
        twice = quarantine.filter(pl.col("rule") == UNIQUENESS)
        reasons.append(f"{month} holds bars more than once: {_name_bars(twice, bar_length)}")
    if row["missing_share"] > row["max_missing_share"]:
        reasons.append(missing_sentence(row, _name_bars(missing, bar_length)))
    if row["quarantine_share"] > row["max_quarantine_share"]:
        rules = ", ".join(quarantine["rule"].unique().sort())
        reasons.append(
            f"{month} has {row['quarantined']} of {row['received']} bars in quarantine"
            f" ({row['quarantine_share']:.1%}, expected at most {row['max_quarantine_share']:.1%})"
            f" for {rules}: {_name_bars(quarantine, bar_length)}"
        )
    return reasons


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


def _name_bars(rows: pl.DataFrame, bar_length: BarLength) -> str:
    bars = rows.unique(["symbol", "session", "event_time"], keep="first", maintain_order=True)
    # A row may lack the very symbol or time that names it.
    name = bar_name(bar_length).fill_null("a bar without symbol or time")
    return first_few(bars.head(_NAMED_AT_MOST).select(name).to_series().to_list())
