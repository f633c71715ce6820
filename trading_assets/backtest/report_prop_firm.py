"""What the report says of evaluation accounts: how often the track record would have passed."""

from collections.abc import Mapping
from dataclasses import asdict

from trading_assets.backtest.cells import number, percent
from trading_assets.backtest.figures import Bootstrap
from trading_assets.backtest.page_parts import Finding, Section, Table
from trading_assets.backtest.prop_firm import (
    PropFirmOutcome,
    judge_runs,
    resampled_runs,
    runs_from_every_day,
)
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.prop_firm_specs import PropFirmSpec
from trading_assets.strategy import Strategy

EVERY_DAY, RESAMPLED = "every session", "resampled"

Outcomes = Mapping[str, Mapping[str, PropFirmOutcome]]


def prop_firm_outcomes(
    records: Mapping[str, TrackRecord], strategy: Strategy, bootstrap: Bootstrap
) -> dict[str, dict[str, PropFirmOutcome]]:
    """Return how accounts of each ensemble and of equal weights end, by portfolio and start.

    Accounts start at every session with enough sessions after it, and on resampled paths; empty
    where no rules are declared.

    Parameters
    ----------
    records : mapping of str to TrackRecord
        By portfolio.
    strategy : Strategy
        Rules and agents.
    bootstrap : Bootstrap
        Source of the paths.
    """
    rules = strategy.backtest.prop_firm
    if rules is None:
        return {}
    shown = [name for name in records if name == "equal_weight" or name.endswith("ensemble")]
    return {name: _outcomes(records[name], rules, bootstrap) for name in shown}


def prop_firm_section(outcomes: Outcomes, strategy: Strategy) -> Section | None:
    """Return the section; None where no rules are declared."""
    rules = strategy.backtest.prop_firm
    if rules is None:
        return None
    learned = [name for name in outcomes if name != "equal_weight"]
    return Section(
        "Evaluation account",
        findings=[_finding(name, outcomes[name], rules) for name in learned],
        notes=_notes(rules),
        tables=[_table(outcomes)],
    )


def prop_firm_figures(outcomes: Outcomes) -> dict[str, object]:
    """Return the outcomes under machine names."""
    return {
        name: {kind.replace(" ", "_"): asdict(found) for kind, found in own.items()}
        for name, own in outcomes.items()
    }


def _outcomes(
    record: TrackRecord, rules: PropFirmSpec, bootstrap: Bootstrap
) -> dict[str, PropFirmOutcome]:
    returns, days = record.returns, rules.days_allowed
    runs = {EVERY_DAY: runs_from_every_day(returns, days)}
    runs[RESAMPLED] = (
        resampled_runs(returns, bootstrap.positions(len(returns)), days)
        if len(returns) >= days
        else runs[EVERY_DAY]
    )
    return {kind: judge_runs(found, rules) for kind, found in runs.items()}


def _finding(name: str, own: Mapping[str, PropFirmOutcome], rules: PropFirmSpec) -> Finding:
    started, drawn = own[EVERY_DAY], own[RESAMPLED]
    if not started.runs:
        return Finding(
            "unknown",
            f"{name} cannot be judged: its record has fewer than the {rules.days_allowed} sessions"
            " of a run.",
        )
    return Finding(
        "unknown",
        f"{name} passes {percent(started.passed)} of accounts started at every session,"
        f" {percent(drawn.passed)} of resampled ones.",
        f"Of the former {percent(started.daily_loss)} end by the daily loss,"
        f" {percent(started.total_loss)} by the total loss and {percent(started.out_of_time)} out"
        " of time.",
    )


def _notes(rules: PropFirmSpec) -> list[str]:
    counted = "the start" if rules.total_loss == "static" else "the highest close so far"
    return [
        f"Rules, of the starting equity: a loss of {percent(rules.max_daily_loss)} from one close"
        f" to the next or of {percent(rules.max_total_loss)} from {counted} ends the account; a"
        f" gain of {percent(rules.profit_target)} passes after {rules.minimum_days} sessions or"
        f" more, within {rules.days_allowed}.",
        "Losses are seen at closes: what an account loses within a session and regains is not"
        " found out, so these shares flatter. Accounts that start on neighbouring sessions share"
        " most of their returns.",
    ]


def _table(outcomes: Outcomes) -> Table:
    return Table(
        caption="Evaluation accounts under the declared rules",
        header=[
            "Portfolio, start",
            "Accounts",
            "Passed",
            "Daily loss",
            "Total loss",
            "Out of time",
            "Days to pass, median",
        ],
        rows=[
            [
                f"{name}, {kind}",
                number(found.runs, 0),
                percent(found.passed),
                percent(found.daily_loss),
                percent(found.total_loss),
                percent(found.out_of_time),
                number(found.median_days, 0),
            ]
            for name, own in outcomes.items()
            for kind, found in own.items()
        ],
    )
