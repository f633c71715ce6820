"""What is expected of validated bars, in sentences and in the numbers that show it."""

from dataclasses import dataclass

from trading_assets.bars.validation.expectation_suites import Bound, Count, Full
from trading_assets.bars.validation.row_rules import ON_THE_CALENDAR, ON_THE_GRID


@dataclass(frozen=True, slots=True)
class Expectation:
    """A sentence that is true of good bars.

    Attributes
    ----------
    name : str
        The sentence, as a check is called.
    description : str
        What it means.
    blocks : bool
        Whether its failure blocks.
    demands : tuple
        What the month table has to show: counts of clean bars that the row rules let through by
        mistake, of bars as received, of warnings, or shares within their bounds.
    """

    name: str
    description: str
    blocks: bool
    demands: tuple[Count | Bound | Full, ...]


# Of `no_bar_is_quarantined` the demands are one for each row rule, added where the rules are known.
NO_BAR_IS_QUARANTINED = "no_bar_is_quarantined"

EXPECTATIONS: tuple[Expectation, ...] = (
    Expectation(
        "bars_are_unique",
        "A symbol has one bar of one time, also as fetched.",
        blocks=True,
        demands=(
            Count("duplicated", "received", "bars"),
            Count("clean_bars_repeated", "passed", "bars"),
        ),
    ),
    Expectation(
        "prices_are_positive_and_finite",
        "Every price is a finite number above 0.",
        blocks=True,
        demands=(Count("clean_bars_without_prices", "passed", "bars"),),
    ),
    Expectation(
        "lows_are_not_above_opens_and_closes",
        "A low is at most its open and close.",
        blocks=True,
        demands=(Count("clean_bars_with_high_lows", "passed", "bars"),),
    ),
    Expectation(
        "highs_are_not_below_opens_and_closes",
        "A high is at least its open and close.",
        blocks=True,
        demands=(Count("clean_bars_with_low_highs", "passed", "bars"),),
    ),
    Expectation(
        "volumes_are_positive",
        "Shares were traded in every bar.",
        blocks=True,
        demands=(Count("clean_bars_without_trades", "passed", "bars"),),
    ),
    Expectation(
        "bars_are_known_only_after_they_end",
        "No bar counts as known before it ends.",
        blocks=True,
        demands=(Count("clean_bars_known_early", "passed", "bars"),),
    ),
    Expectation(
        "bars_come_from_one_feed",
        "A symbol's bars of one month come from one feed.",
        blocks=True,
        demands=(Count("clean_bars_of_mixed_feeds", "passed", "bars"),),
    ),
    Expectation(
        "sessions_have_bars",
        "In each month the share of expected bars that are missing is within its bound.",
        blocks=True,
        demands=(Bound("missing_share", "max_missing_share"),),
    ),
    Expectation(
        "few_bars_are_quarantined",
        "In each month the share of bars in quarantine is within its bound.",
        blocks=True,
        demands=(Bound("quarantine_share", "max_quarantine_share"),),
    ),
    Expectation(
        "every_expected_bar_passed",
        "Data quality is 100 %: every bar the calendar promises arrived and kept every rule.",
        blocks=False,
        demands=(Full("data_quality_pct"),),
    ),
    Expectation(
        NO_BAR_IS_QUARANTINED,
        "Every bar that arrived kept every rule.",
        blocks=False,
        demands=(),
    ),
    Expectation(
        "bars_are_on_the_calendar",
        "No bar arrived that the calendar does not promise.",
        blocks=False,
        demands=tuple(Count(rule, "received", "bars") for rule in (ON_THE_CALENDAR, ON_THE_GRID)),
    ),
    Expectation(
        "bars_are_delivered_once",
        "No bar arrived in several identical copies.",
        blocks=False,
        demands=(Count("repeated", "received", "bars"),),
    ),
    Expectation(
        "bars_are_known_in_time",
        "Every bar became known within the declared publication lag.",
        blocks=False,
        demands=(Count("late_sessions", "passed", "sessions' bars"),),
    ),
    Expectation(
        "returns_without_actions_are_plausible",
        "No total return lies beyond the declared number of robust sigmas.",
        blocks=False,
        demands=(Count("outlier_returns", "passed", "bars"),),
    ),
    Expectation(
        "jumps_are_no_unknown_splits",
        "No price jumps by a split's ratio without an action that explains it.",
        blocks=False,
        demands=(Count("split_like_jumps", "passed", "bars"),),
    ),
    Expectation(
        "closes_are_not_stale",
        "No close repeats in as many bars as are declared, five daily ones by default.",
        blocks=False,
        demands=(Count("stale_closes", "passed", "bars"),),
    ),
)
