"""The expectations on validated bars: what each means, whether it blocks, and their judgement.

Importing this module does not import Great Expectations; `judge` does, which takes seconds once.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trading_assets.bars.validation.bars import ValidatedMonths
from trading_assets.bars.validation.expectation_list import EXPECTATIONS, NO_BAR_IS_QUARANTINED
from trading_assets.bars.validation.expectation_suites import Count, Criterion
from trading_assets.bars.validation.plausibility import LATE, OUTLIER, SPLIT_LIKE, STALE
from trading_assets.bars.validation.row_rules import ON_THE_CALENDAR, ON_THE_GRID, UNIQUENESS

_SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """Whether an expectation holds, what broke it in numbers, and Markdown evidence if any."""

    name: str
    passed: bool
    blocks: bool
    observed: str
    evidence: str


# Judged month by month: in a range, the months that fail are refused by every reader while the
# others are used, so one bad month does not fail the run.
MONTHLY = frozenset({"bars_are_unique", "sessions_have_bars", "few_bars_are_quarantined"})


def judge(
    validated: ValidatedMonths, data_docs: Path | None = None, title: str = "validated bars"
) -> list[ExpectationResult]:
    """Return a result for each of `EXPECTATIONS`, in their order, from one Great Expectations run.

    The run sees one row a month of counts, so its cost does not grow with the number of bars.

    Parameters
    ----------
    validated : ValidatedMonths
        What `validate_bars` returned.
    data_docs : Path, optional
        Folder in which the run's Data Docs are written; none are when absent.
    title : str
        Name of the data set, shown on those pages.

    Raises
    ------
    DataError
        If the clean rows do not follow their table, Great Expectations could not evaluate an
        expectation, or the pages could not be put in place.
    """
    from trading_assets.bars.validation.data_docs import write_data_docs
    from trading_assets.bars.validation.expectation_suites import run_suite
    from trading_assets.bars.validation.month_table import month_table

    months = month_table(validated)
    criteria = _criteria(validated)
    run = run_suite(months, criteria)
    if data_docs is not None:
        write_data_docs(run, criteria, months, validated.quarantine, data_docs, title)
    results: list[ExpectationResult] = []
    for expectation in EXPECTATIONS:
        own = [outcome for outcome in run.outcomes if outcome.name == expectation.name]
        broken = [outcome for outcome in own if not outcome.passed]
        observed = dict.fromkeys(outcome.observed for outcome in broken or own[:1])
        results.append(
            ExpectationResult(
                expectation.name,
                passed=not broken,
                blocks=expectation.blocks,
                observed=", ".join(observed),
                evidence=_evidence(expectation.name, validated) if broken else "",
            )
        )
    return results


def _criteria(validated: ValidatedMonths) -> list[Criterion]:
    criteria = [
        Criterion(each.name, each.description, each.blocks, demand)
        for each in EXPECTATIONS
        for demand in each.demands
    ]
    rules = [name for name in validated.rule_counts.columns if name != "month"]
    return criteria + [
        Criterion(
            NO_BAR_IS_QUARANTINED,
            f"No bar is in quarantine because it broke the rule {rule}.",
            blocks=False,
            demand=Count(rule, "received", "bars"),
        )
        for rule in rules
    ]


def _evidence(name: str, validated: ValidatedMonths) -> str:
    frames = [_offending_bars(name, validated), _bad_clean_bars(name, validated.rows)]
    return "\n\n".join(_table(frame) for frame in frames if not frame.is_empty())


def _bad_clean_bars(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    from trading_assets.bars.validation.month_table import clean_row_faults

    columns = {
        demand.column
        for each in EXPECTATIONS
        if each.name == name
        for demand in each.demands
        if isinstance(demand, Count)
    }
    faults = [is_bad for fault, is_bad in clean_row_faults(rows).items() if fault in columns]
    return pl.concat([rows.filter(is_bad) for is_bad in faults]) if faults else pl.DataFrame()


def _offending_bars(name: str, validated: ValidatedMonths) -> pl.DataFrame:
    rule = pl.col("rule")
    bar = ["symbol", "session", "event_time"]
    held = validated.quarantine.select(*bar, "rule", "value", "reason")
    warned = {
        "bars_are_known_in_time": LATE,
        "returns_without_actions_are_plausible": OUTLIER,
        "jumps_are_no_unknown_splits": SPLIT_LIKE,
        "closes_are_not_stale": STALE,
    }
    if name in warned:
        return validated.warnings.filter(rule == warned[name])
    frames = {
        "bars_are_unique": held.filter(rule == UNIQUENESS),
        "sessions_have_bars": validated.missing,
        "few_bars_are_quarantined": held,
        NO_BAR_IS_QUARANTINED: held,
        "bars_are_on_the_calendar": held.filter(rule.is_in([ON_THE_CALENDAR, ON_THE_GRID])),
        "every_expected_bar_passed": pl.concat(
            [held, validated.missing.select(bar)], how="diagonal"
        ),
        "bars_are_delivered_once": validated.repeated.select(bar),
    }
    return frames.get(name, pl.DataFrame())


def _table(frame: pl.DataFrame) -> str:
    lines = [
        "| " + " | ".join(frame.columns) + " |",
        "|" + " --- |" * len(frame.columns),
        *(
            "| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |"
            for row in frame.head(_SHOWN_ROWS).iter_rows()
        ),
    ]
    more = len(frame) - _SHOWN_ROWS
    return "\n".join([*lines, "", f"and {more} more"] if more > 0 else lines)
