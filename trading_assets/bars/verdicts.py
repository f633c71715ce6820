"""Counts of a month's bars, and the verdict that follows from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from trading_assets.bars.coverage import first_few, missing_sentence, month_key
from trading_assets.bars.row_rules import UNIQUENESS
from trading_assets.market_data import ValidationSpec


def judge_months(
    months: Sequence[str], parts: Mapping[str, pl.DataFrame], bounds: ValidationSpec
) -> pl.DataFrame:
    """Return one row for each of `months` with counts, shares and `verdict`.

    Parameters
    ----------
    months : sequence of str
        Months, first days as `YYYY-MM-DD`.
    parts : mapping of str to DataFrame
        Rows to count in each month by their session; the names become columns. `expected`,
        `received`, `passed`, `expected_and_passed`, `duplicated` and `missing` must be there.
    bounds : ValidationSpec
        Largest shares; a month fails beyond them, or when a bar is duplicated.
    """
    table = pl.DataFrame({"month": list(months)}, schema={"month": pl.String})
    for name, frame in parts.items():
        counts = frame.group_by(month_key()).agg(pl.len().cast(pl.Int64).alias(name))
        table = table.join(counts, on="month", how="left", maintain_order="left")
    has_passed = (
        (pl.col("missing_share") <= pl.col("max_missing_share"))
        & (pl.col("quarantine_share") <= pl.col("max_quarantine_share"))
        & (pl.col("duplicated") == 0)
    )
    return (
        table.with_columns(pl.col(list(parts)).fill_null(0))
        .with_columns((pl.col("received") - pl.col("passed")).alias("quarantined"))
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


def refusals(row: Mapping[str, Any], missing: pl.DataFrame, quarantine: pl.DataFrame) -> list[str]:
    """Return one sentence for each reason why a month is refused.

    Parameters
    ----------
    row : mapping
        The month's row of `judge_months`.
    missing, quarantine : DataFrame
        Missing bars and table `quarantine`, of any months; they name examples.
    """
    month = row["month"]
    reasons: list[str] = []
    if row["duplicated"]:
        twice = quarantine.filter((month_key() == month) & (pl.col("rule") == UNIQUENESS))
        reasons.append(f"{month[:7]} holds bars more than once: {_name_bars(twice)}")
    if row["missing_share"] > row["max_missing_share"]:
        reasons.append(missing_sentence(row, _name_bars(missing.filter(pl.col("month") == month))))
    if row["quarantine_share"] > row["max_quarantine_share"]:
        held = quarantine.filter(month_key() == month)
        rules = ", ".join(held["rule"].unique().sort())
        reasons.append(
            f"{month[:7]} has {row['quarantined']} of {row['received']} bars in quarantine"
            f" ({row['quarantine_share']:.1%}, expected at most {row['max_quarantine_share']:.1%})"
            f" for {rules}: {_name_bars(held)}"
        )
    return reasons


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


def _name_bars(rows: pl.DataFrame) -> str:
    bars = rows.select("symbol", "session").unique(maintain_order=True)
    return first_few([f"{symbol} {session}" for symbol, session in bars.iter_rows()])
