"""What the report says of explanations: what moves weights and forecasts, and for what."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from trading_assets.backtest.explanation.fold_explanation import (
    FORECASTER,
    STEPS,
    deployed_portfolio,
)
from trading_assets.backtest.explanation.summary import ExplanationSummary, Loss, summarise
from trading_assets.backtest.explanation_chart import draw_ages, draw_bars
from trading_assets.backtest.page_parts import Drawing, Finding, Section
from trading_assets.backtest.report_explanation_tables import (
    forecasts_table,
    groups_table,
    move_title,
    moves_table,
    reasons_table,
)
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.strategy import Strategy

_TITLE = "What moves decisions and forecasts"
_MOST_BARS = 12


def explanation_section(
    folds: Sequence[FoldRecord], expected_folds: Sequence[str], strategy: Strategy
) -> Section:
    """Return the section on explanations; folds without one are named.

    Parameters
    ----------
    folds : sequence of FoldRecord
        In any order.
    expected_folds : sequence of str
        Keys of the folds that should exist.
    strategy : Strategy
        Its agents say which portfolio is deployed.
    """
    explained = {f.fold.key: f.explanation for f in folds if f.explanation is not None}
    missing = sorted({*expected_folds, *(f.fold.key for f in folds)} - {*explained})
    findings = _missing_findings(missing)
    notes = sorted({note for each in explained.values() for note in each.left_out})
    findings += [Finding("unknown", f"Not explained: {note}.") for note in notes]
    found = summarise(deployed_portfolio(strategy), explained)
    if found is None:
        return Section(_TITLE, findings=findings)
    return Section(
        _TITLE,
        findings=[*_findings(found), *findings],
        notes=_notes(found.portfolio),
        tables=[
            *([moves_table(found)] if len(found.moves) else []),
            *([groups_table(found)] if found.losses else []),
            forecasts_table(found),
            *([reasons_table(found)] if len(found.reasons) else []),
        ],
        drawings=_drawings(found),
    )


def explanation_figures(folds: Sequence[FoldRecord], strategy: Strategy) -> dict[str, Any]:
    """Return what the section shows under machine names; empty without an explained fold."""
    explained = {f.fold.key: f.explanation for f in folds if f.explanation is not None}
    found = summarise(deployed_portfolio(strategy), explained)
    if found is None:
        return {}
    return {
        "portfolio": found.portfolio,
        "folds": list(found.folds),
        "weight_moved": {
            move_title(row): row["moved"] for row in found.moves.iter_rows(named=True)
        },
        "log_odds_moved": dict(found.forecast_moves.select("input", "log_odds").iter_rows()),
        "lost_without": {"/".join(key): asdict(loss) for key, loss in found.losses.items()},
        "evidence": {fold: dict(each.figures) for fold, each in explained.items()},
    }


def _missing_findings(missing: Sequence[str]) -> list[Finding]:
    if not missing:
        return []
    are = "fold is" if len(missing) == 1 else "folds are"
    return [
        Finding(
            "unknown",
            f"{len(missing)} {are} not explained: {', '.join(missing)}.",
            "Their explanation was not made, or was refused by its check.",
        )
    ]


def _findings(found: ExplanationSummary) -> list[Finding]:
    portfolio = found.portfolio
    return [
        _finding(
            _group_losses(found, portfolio, "return_lost_bps"),
            (
                f"{portfolio} earns less without",
                f"No group of inputs earns {portfolio} what can be told from chance",
            ),
            (1.0, 2, "bps a session lost"),
        ),
        _finding(
            _group_losses(found, FORECASTER, "log_loss"),
            (
                "Forecasts get worse without",
                "No group of features makes forecasts better than chance would",
            ),
            (1e3, 2, "thousandths of a nat of log-loss added"),
        ),
    ]


def _group_losses(found: ExplanationSummary, of: str, measure: str) -> dict[str, Loss]:
    return {
        name: loss
        for (owner, level, name, own), loss in found.losses.items()
        if (owner, level, own) == (of, "group", measure)
    }


def _finding(
    losses: Mapping[str, Loss], claims: tuple[str, str], unit: tuple[float, int, str]
) -> Finding:
    """Name the groups whose loss is above 0 beyond chance, or say that there is none."""
    claim, otherwise = claims
    if not losses:
        return Finding("unknown", f"{claim} which group of inputs was not measured.")
    worth = sorted((n for n in losses if losses[n].low > 0.0), key=lambda n: -losses[n].mean)
    if not worth:
        return Finding("undecided", f"{otherwise}.", f"{len(losses)} groups tried.")
    scale, digits, words = unit
    evidence = [
        f"{name}: {scale * loss.mean:.{digits}f} ({scale * loss.low:.{digits}f} to"
        f" {scale * loss.high:.{digits}f}) {words}"
        for name, loss in ((name, losses[name]) for name in worth)
    ]
    return Finding("beats", f"{claim} {', '.join(worth)}.", f"{'; '.join(evidence)}.")


def _drawings(found: ExplanationSummary) -> list[Drawing]:
    drawings: list[Drawing] = []
    inputs = found.moves.filter(~pl.col("kind").is_in(STEPS)).head(_MOST_BARS)
    if len(inputs):
        drawings.append(
            Drawing(
                draw_bars(
                    [move_title(row) for row in inputs.iter_rows(named=True)],
                    (100.0 * inputs["moved"]).to_list(),
                    "Mean absolute weight moved, % of equity",
                    f"How far each input moves the target weights of {found.portfolio}",
                ),
                f"How far inputs move a target weight of {found.portfolio} from that of a usual"
                " day, on average over symbols and sessions.",
            )
        )
    ages = found.ages.filter(pl.col("log_odds") > 0.0)
    if len(ages) > 1:
        drawings.append(
            Drawing(
                draw_ages(
                    ages["age_bars"].to_numpy().astype(float),
                    ages["log_odds"].to_numpy(),
                    "How far bars of each age move forecasts",
                ),
                "How far bars of each age move the log-odds of a rise against a fall.",
            )
        )
    return drawings


def _notes(portfolio: str) -> list[str]:
    return [
        f"Integrated gradients of {portfolio}'s mean action, measured from a usual day: the train"
        " window's mean observation of an account in cash. They add up to each target weight:"
        " a usual day, the inputs, what confidence takes off, what limits change. What moves a"
        " weight need not be right.",
        "What inputs are worth is measured out of sample: an input is shown in blocks of 20"
        " sessions or more at another time, and the window is traded again. The interval covers"
        " the sessions and permutations drawn. Of twenty worthless inputs one seems to be worth"
        " something by chance.",
        "Inputs that say the same stand in for each other: each may seem worthless alone where"
        " their group is not.",
    ]
