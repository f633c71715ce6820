"""Decides which bars are used and which months are refused, with the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.coverage import expected_bars, missing_bars, month_key
from trading_assets.bars.validation.judged_rows import JudgedRows, select_judged_rows
from trading_assets.bars.validation.plausibility import (
    LATE,
    OUTLIER,
    SPLIT_LIKE,
    STALE,
    find_implausible,
)
from trading_assets.bars.validation.quarantine import quarantine_rows
from trading_assets.bars.validation.row_rules import UNIQUENESS, row_rules
from trading_assets.bars.validation.verdicts import (
    count_by_month,
    judge_months,
    refusals,
    session_counts,
)
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, conform

_SESSION = ("symbol", "session")


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
        symbol, session, event_time, rule, value, reason of bars that are used but look odd.
    missing : DataFrame
        symbol, session, event_time, month of expected bars that did not arrive.
    repeated : DataFrame
        Rows of table `raw_bars` that were left out as copies of others.
    summary : DataFrame
        One row a month: month (`YYYY-MM-DD`), verdict, counts of bars (expected, received, passed,
        expected_and_passed, quarantined, duplicated, missing, repeated, revised), missing_share,
        max_missing_share, quarantine_share, max_quarantine_share, data_quality_pct (null when
        nothing was expected), and counts of warnings (outlier_returns, stale_closes,
        split_like_jumps, late_sessions).
    rule_counts : DataFrame
        One row a month: month, and for each row rule how many quarantined bars broke it.
    months : dict
        `ValidatedMonth` by key, in the order asked for.
    """

    rows: pl.DataFrame
    quarantine: pl.DataFrame
    warnings: pl.DataFrame
    missing: pl.DataFrame
    repeated: pl.DataFrame
    summary: pl.DataFrame
    rule_counts: pl.DataFrame
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
    others pass unchanged. A month fails when a bar occurs twice with different values, when the
    share of missing bars exceeds `spec.validation.max_missing_share`, or that of quarantined bars
    `max_quarantine_share`. The order of `rows`, and copies of whole rows, change no bar and no
    verdict.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars` at `spec.raw_bar_length`, all revisions; the newest one known at `as_of` is
        judged. Rows of other months serve only as context of returns.
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
    judged = select_judged_rows(conform("raw_bars", rows), spec, as_of)
    clean, quarantine = quarantine_rows(judged.rows, spec, get_calendar(spec.calendar), as_of)
    asked = month_key().is_in(list(months))
    quarantine = quarantine.filter(asked)
    warnings = find_implausible(clean, actions, spec).filter(asked)
    expected = expected_bars(spec, first_sessions, as_of, months, actions)
    counts, missing = _compare(expected, clean, judged.rows)
    parts = counts | {"missing": missing} | _counted_rows(judged, clean, quarantine, warnings)
    summary = judge_months(count_by_month(months, parts), spec.validation)
    table = conform("validated_bars", _of_months(clean, months))
    rules = [rule.name for rule in row_rules(spec, as_of)]
    broken = {name: quarantine.filter(pl.col("rule") == name) for name in rules}
    return ValidatedMonths(
        table,
        quarantine,
        warnings,
        missing,
        judged.repeated.filter(asked),
        summary,
        count_by_month(months, broken),
        {
            row["month"]: _month(row, table, quarantine, missing, spec)
            for row in summary.iter_rows(named=True)
        },
    )


def _month(
    row: Mapping[str, Any],
    table: pl.DataFrame,
    quarantine: pl.DataFrame,
    missing: pl.DataFrame,
    spec: MarketDataSpec,
) -> ValidatedMonth:
    first = date.fromisoformat(row["month"])
    is_inside = pl.col("session").is_between(first, _last_day(first))
    held = quarantine.filter(is_inside)
    lacked = missing.filter(pl.col("month") == row["month"])
    return ValidatedMonth(
        table.filter(is_inside),
        held,
        passed=row["verdict"] == "passed",
        reasons=refusals(row, lacked, held, spec.raw_bar_length),
    )


def _last_day(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _of_months(clean: pl.DataFrame, months: Sequence[str]) -> pl.DataFrame:
    table = clean.select(TABLES["validated_bars"].names)
    days = session_counts(table).select(pl.col("session").unique())
    wanted = days.filter(month_key().is_in(list(months)))
    if len(wanted) == len(days):
        return table
    return table.filter(pl.col("session").is_in(wanted["session"].implode()))


def _counted_rows(
    judged: JudgedRows, clean: pl.DataFrame, quarantine: pl.DataFrame, warnings: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    rule = pl.col("rule")
    return {
        "received": judged.rows,
        "passed": clean,
        "duplicated": quarantine.filter(rule == UNIQUENESS),
        "repeated": judged.repeated,
        "revised": judged.revised,
        "outlier_returns": warnings.filter(rule == OUTLIER),
        "split_like_jumps": warnings.filter(rule == SPLIT_LIKE),
        "stale_closes": warnings.filter(rule == STALE),
        "late_sessions": warnings.filter(rule == LATE),
    }


def _compare(
    expected: pl.DataFrame, clean: pl.DataFrame, received: pl.DataFrame
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Return counts of expected bars and of those that passed, and expected bars not received.

    Sessions are compared by their number of bars; single bars only where some are lacking, and in
    the newest session, which may still be running.
    """
    session = list(_SESSION)
    compared = _bars_by_session(expected).join(
        _bars_by_session(clean), on=session, how="left", suffix="_clean"
    )
    is_full = (pl.col("count_clean").fill_null(0) >= pl.col("count")) & (
        pl.col("session") < pl.col("session").max()
    )
    inspected = compared.filter(~is_full).select(session)
    bars, received, clean = (_within(rows, inspected) for rows in (expected, received, clean))
    passed = bars.join(clean, on=["symbol", "event_time"], how="semi")
    counts = {
        "expected": compared,
        "expected_and_passed": pl.concat(
            [compared.filter(is_full), _bars_by_session(passed)], how="diagonal"
        ),
    }
    return counts, missing_bars(received, bars)


def _within(rows: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    # Few days are quicker found in a column of dates than pairs of symbol and date.
    days = pl.col("session").is_in(sessions["session"].unique().implode())
    return rows.filter(days).join(sessions, on=list(_SESSION), how="semi", maintain_order="left")


def _bars_by_session(rows: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, session and count of rows in which each session's bars stand together."""
    symbol, session = pl.col("symbol"), pl.col("session")
    begins = ((symbol != symbol.shift(1)) | (session != session.shift(1))).fill_null(value=True)
    starts = rows.select(begins.alias("begins"))["begins"].arg_true().cast(pl.Int64)
    counts = starts.shift(-1, fill_value=len(rows)) - starts
    return rows[starts].select(*_SESSION, counts.alias("count"))
