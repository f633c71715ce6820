"""Decides which bars are used and which months are refused, with the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from trading_assets.bars.calendar import get_calendar
from trading_assets.bars.coverage import (
    expected_bars,
    missing_bars,
    month_key,
)
from trading_assets.bars.plausibility import OUTLIER, STALE, find_implausible
from trading_assets.bars.row_rules import UNIQUENESS, quarantine_rows
from trading_assets.bars.verdicts import judge_months, refusals
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform


@dataclass(frozen=True, slots=True)
class ValidatedMonth:
    """One month's clean rows, quarantine and verdict; `reasons` is empty when it passed."""

    rows: pl.DataFrame
    quarantine: pl.DataFrame
    passed: bool
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class ValidatedMonths:
    """What `validate_bars` found.

    Attributes
    ----------
    rows : DataFrame
        Table `validated_bars` of all months.
    quarantine : DataFrame
        Table `quarantine` of all months.
    warnings : DataFrame
        symbol, session, rule, value, reason of bars that are used but look odd.
    missing : DataFrame
        symbol, session, month of expected bars that did not arrive.
    summary : DataFrame
        One row a month: month (`YYYY-MM-DD`), verdict, counts of bars (expected, received, passed,
        quarantined, duplicated, missing), missing_share, max_missing_share, quarantine_share,
        max_quarantine_share, data_quality_pct (null when nothing was expected), outlier_returns,
        stale_closes.
    months : dict
        `ValidatedMonth` by key, in the order asked for.
    """

    rows: pl.DataFrame
    quarantine: pl.DataFrame
    warnings: pl.DataFrame
    missing: pl.DataFrame
    summary: pl.DataFrame
    months: dict[str, ValidatedMonth]

    @property
    def failed_months(self) -> list[str]:
        """Keys of the months that are refused."""
        return [key for key, month in self.months.items() if not month.passed]

    @property
    def data_quality_pct(self) -> float | None:
        """100 x (expected bars that passed every rule) / (expected bars); None if none expected."""
        n_expected = int(self.summary["expected"].sum())
        n_passed = int(self.summary["expected_and_passed"].sum())
        return 100 * n_passed / n_expected if n_expected else None


def validate_bars(
    rows: pl.DataFrame,
    actions: pl.DataFrame,
    spec: MarketDataSpec,
    months: Sequence[str],
    first_sessions: Mapping[str, date],
    as_of: datetime,
) -> ValidatedMonths:
    """Split bars into clean and quarantined rows and judge each month.

    A row that breaks a row rule goes to quarantine with the rule, the value and the reason; all
    others pass unchanged. A month fails when a bar occurs twice, when the share of missing bars
    exceeds `spec.validation.max_missing_share`, or that of quarantined bars `max_quarantine_share`.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars`, all revisions; the newest one known at `as_of` is judged. Rows of other
        months serve only as context of returns.
    actions : DataFrame
        Table `corporate_actions`.
    spec : MarketDataSpec
        Universe, calendar, dates and bounds.
    months : sequence of str
        Months to judge, first days as `YYYY-MM-DD`.
    first_sessions : mapping of str to date
        First bar of each symbol in the whole data set; nothing is expected before it.
    as_of : datetime
        Aware moment of validation.

    Raises
    ------
    SchemaError
        If `rows` does not follow table `raw_bars`.
    """
    current = _newest_known(conform("raw_bars", rows), as_of)
    clean, quarantine = quarantine_rows(current, spec, get_calendar(spec.calendar), as_of)
    warnings = find_implausible(clean, actions, spec.validation.max_return_sigmas)
    asked = month_key().is_in(list(months))
    received, bars, quarantine, warnings = (
        frame.filter(asked) for frame in (current, clean, quarantine, warnings)
    )
    expected = expected_bars(spec, first_sessions, as_of).filter(
        pl.col("month").is_in(list(months))
    )
    missing = missing_bars(received, expected)
    summary = judge_months(
        months,
        {
            "expected": expected,
            "received": received,
            "passed": bars,
            "expected_and_passed": expected.join(bars, on=["symbol", "session"], how="semi"),
            "duplicated": quarantine.filter(pl.col("rule") == UNIQUENESS),
            "missing": missing,
            "outlier_returns": warnings.filter(pl.col("rule") == OUTLIER),
            "stale_closes": warnings.filter(pl.col("rule") == STALE),
        },
        spec.validation,
    )
    table = conform("validated_bars", bars.select(TABLES["validated_bars"].names)).sort(
        "symbol", "event_time"
    )
    rows_of, quarantine_of = _by_month(table), _by_month(quarantine)
    verdicts = {
        row["month"]: ValidatedMonth(
            rows_of.get(row["month"], table.clear()),
            quarantine_of.get(row["month"], quarantine.clear()),
            passed=row["verdict"] == "passed",
            reasons=refusals(row, missing, quarantine),
        )
        for row in summary.iter_rows(named=True)
    }
    return ValidatedMonths(table, quarantine, warnings, missing, summary, verdicts)


def _by_month(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.with_columns(month_key()).partition_by("month", include_key=False, as_dict=True)
    return {str(key[0]): part for key, part in parts.items()}


def _newest_known(rows: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    # Copies of one revision stay for the uniqueness rule, and rows from the future for theirs.
    now = pl.lit(as_of).cast(UTC_TIME)
    bar = ("symbol", "bar_length", "event_time", "feed", "adjustment")
    return (
        rows.filter((pl.col("knowledge_time") <= now) | (pl.col("event_time") > now))
        .filter(pl.col("revision") == pl.col("revision").max().over(bar))
        .sort(TABLES["raw_bars"].key)
    )
