"""The expectations on validated bars: what each means, whether it blocks, and their judgement.

Importing this module does not import Great Expectations; `judge` does, which takes seconds once.
"""

from dataclasses import dataclass

import polars as pl

from trading_assets.bars.plausibility import OUTLIER, STALE
from trading_assets.bars.row_rules import UNIQUENESS
from trading_assets.bars.validation import ValidatedMonths

_SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True)
class Expectation:
    """A sentence that is true of good bars, what it means, and whether its failure blocks."""

    name: str
    description: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """Whether an expectation holds, what broke it in numbers, and Markdown evidence if any."""

    name: str
    passed: bool
    blocks: bool
    observed: str
    evidence: str


EXPECTATIONS: tuple[Expectation, ...] = (
    Expectation("bars_are_unique", "A symbol has one bar a session, also as fetched.", blocks=True),
    Expectation(
        "prices_are_positive_and_finite", "Every price is a finite number above 0.", blocks=True
    ),
    Expectation(
        "lows_are_not_above_opens_and_closes", "A low is at most its open and close.", blocks=True
    ),
    Expectation(
        "highs_are_not_below_opens_and_closes",
        "A high is at least its open and close.",
        blocks=True,
    ),
    Expectation("volumes_are_positive", "Shares were traded in every bar.", blocks=True),
    Expectation(
        "bars_are_known_only_after_they_end", "No bar counts as known before it ends.", blocks=True
    ),
    Expectation("bars_come_from_one_feed", "Feeds are not mixed.", blocks=True),
    Expectation(
        "sessions_have_bars",
        "In each month the share of expected bars that are missing is within its bound.",
        blocks=True,
    ),
    Expectation(
        "few_bars_are_quarantined",
        "In each month the share of bars in quarantine is within its bound.",
        blocks=True,
    ),
    Expectation(
        "every_expected_bar_passed",
        "Data quality is 100 %: every bar the calendar promises arrived and kept every rule.",
        blocks=False,
    ),
    Expectation(
        "returns_without_actions_are_plausible",
        "No total return lies beyond the declared number of robust sigmas.",
        blocks=False,
    ),
    Expectation("closes_are_not_stale", "No close repeats in five or more bars.", blocks=False),
)


# Judged month by month: in a range, the months that fail are refused by every reader while the
# others are used, so one bad month does not fail the run.
MONTHLY = frozenset({"bars_are_unique", "sessions_have_bars", "few_bars_are_quarantined"})


def judge(validated: ValidatedMonths) -> list[ExpectationResult]:
    """Return a result for each of `EXPECTATIONS`, in their order, from one Great Expectations run.

    The run sees the clean rows and the summary of all months. A second or less for 12,000 bars,
    after the import.

    Raises
    ------
    DataError
        If Great Expectations could not evaluate an expectation.
    """
    from trading_assets.bars.expectation_suites import run_suites

    outcomes = run_suites(validated.rows, validated.summary)
    results: list[ExpectationResult] = []
    for expectation in EXPECTATIONS:
        own = [outcome for outcome in outcomes if outcome.name == expectation.name]
        broken = [outcome for outcome in own if not outcome.passed]
        worst = sorted({outcome.observed for outcome in broken or own}, reverse=True)
        examples = dict.fromkeys(line for outcome in broken for line in outcome.examples)
        table = _table(_offending_bars(expectation.name, validated)) if broken else ""
        results.append(
            ExpectationResult(
                expectation.name,
                passed=not broken,
                blocks=expectation.blocks,
                observed=", ".join(worst),
                evidence="\n".join([*(f"- {line}" for line in examples), "", table]).strip(),
            )
        )
    return results


def _offending_bars(name: str, validated: ValidatedMonths) -> pl.DataFrame:
    rule = pl.col("rule")
    shown = ("symbol", "session", "rule", "value", "reason")
    frames = {
        "bars_are_unique": validated.quarantine.filter(rule == UNIQUENESS).select(shown),
        "sessions_have_bars": validated.missing,
        "few_bars_are_quarantined": validated.quarantine.select(shown),
        "every_expected_bar_passed": pl.concat(
            [validated.quarantine.select(shown), validated.missing.select("symbol", "session")],
            how="diagonal",
        ),
        "returns_without_actions_are_plausible": validated.warnings.filter(rule == OUTLIER),
        "closes_are_not_stale": validated.warnings.filter(rule == STALE),
    }
    return frames.get(name, pl.DataFrame())


def _table(frame: pl.DataFrame) -> str:
    if frame.is_empty():
        return ""
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
