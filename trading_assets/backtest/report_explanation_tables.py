"""The report's tables of explanations."""

from collections.abc import Mapping
from html import escape
from typing import Any

import polars as pl

from trading_assets.backtest.cells import DASH, number, percent, with_interval
from trading_assets.backtest.explanation.fold_explanation import (
    BASELINE,
    CONFIDENCE,
    FORECASTER,
    LIMITS,
)
from trading_assets.backtest.explanation.summary import ExplanationSummary, Loss
from trading_assets.backtest.page_parts import Table
from trading_assets.policy.input_names import InputKind, ObservedInput

_MOST_ROWS, _MOST_TRADES = 15, 10
_STEPS = {
    BASELINE: "a usual day",
    CONFIDENCE: "sizing by forecast confidence",
    LIMITS: "risk limits",
}


def move_title(row: Mapping[str, Any]) -> str:
    """Return what a row of `ExplanationSummary.moves` is called."""
    kind: InputKind = row["kind"]
    if kind in _STEPS:
        return _STEPS[kind]
    title = ObservedInput(kind, row["input"]).title
    return title if row["is_own"] else f"{title} of other symbols"


def moves_table(found: ExplanationSummary) -> Table:
    """Return what moves target weights, largest first, and what each input was worth."""
    shown = found.moves.head(_MOST_ROWS)
    inputs = found.moves.filter(~pl.col("kind").is_in(list(_STEPS)))
    total = float(inputs["moved"].sum())
    rows: list[list[str]] = []
    for row in shown.iter_rows(named=True):
        is_step = row["kind"] in _STEPS
        name = "forecast_confidence" if row["kind"] == CONFIDENCE else row["input"]
        # An input is permuted for all symbols at once.
        measured = row["is_own"]
        rows.append(
            [
                escape(move_title(row)),
                percent(row["moved"], 2),
                DASH if is_step or total == 0.0 else percent(row["moved"] / total, 0),
                _cell(found, name, "weight_change", 100.0) if measured else DASH,
                _cell(found, name, "return_lost_bps", 1.0) if measured else DASH,
            ]
        )
    return Table(
        caption=(
            f"What moves a target weight of {found.portfolio}, mean over {len(found.folds)} folds;"
            " small print: 95 % intervals"
        ),
        header=[
            "Input",
            "Weight moved",
            "Share of inputs",
            "Weights changed without it, %",
            "Return lost without it, bps a session",
        ],
        rows=rows,
        muted=frozenset(
            place for place, row in enumerate(shown.iter_rows(named=True)) if row["kind"] in _STEPS
        ),
    )


def groups_table(found: ExplanationSummary) -> Table:
    """Return what groups of inputs were worth, to trading and to forecasts."""
    names = sorted({key[2] for key in found.losses if key[1] == "group"})
    return Table(
        caption="Without a group of inputs; small print: 95 % intervals",
        header=[
            "Group",
            "Weights changed, %",
            "Return lost, bps a session",
            "Log-loss of forecasts, 0.001 nats",
        ],
        rows=[
            [
                escape(name),
                _cell(found, name, "weight_change", 100.0, "group"),
                _cell(found, name, "return_lost_bps", 1.0, "group"),
                _loss_cell(found.losses.get((FORECASTER, "group", name, "log_loss")), 1e3),
            ]
            for name in names
        ],
    )


def forecasts_table(found: ExplanationSummary) -> Table:
    """Return what moves forecasts, largest first, and what each feature was worth."""
    return Table(
        caption="What moves forecasts, mean over the rows explained; small print: 95 % intervals",
        header=[
            "Feature",
            "Log-odds moved",
            "Mean moved, of its volatility",
            "Log-loss without it, 0.001 nats",
        ],
        rows=[
            [
                escape(row["input"]),
                number(row["log_odds"], 4),
                number(row["scaled_return"], 4),
                _loss_cell(found.losses.get((FORECASTER, "input", row["input"], "log_loss")), 1e3),
            ]
            for row in found.forecast_moves.head(_MOST_ROWS).iter_rows(named=True)
        ],
    )


def reasons_table(found: ExplanationSummary) -> Table:
    """Return the largest trades with their reasons."""
    largest = found.reasons.sort(
        pl.col("traded_usd").abs(), "session", "symbol", descending=[True, False, False]
    ).head(_MOST_TRADES)
    return Table(
        caption=f"The {len(largest)} largest of {len(found.reasons):,} trades of {found.portfolio}",
        header=["Session", "Symbol", "Traded, USD", "Wish changed, %", "Why"],
        rows=[
            [
                str(row["session"]),
                escape(row["symbol"]),
                number(row["traded_usd"], 0),
                number(100.0 * row["wish_change"]),
                f'<span class="reason">{escape(row["reason"])}</span>',
            ]
            for row in largest.iter_rows(named=True)
        ],
    )


def _cell(
    found: ExplanationSummary, name: str, measure: str, unit: float, level: str = "input"
) -> str:
    return _loss_cell(found.losses.get((found.portfolio, level, name, measure)), unit)


def _loss_cell(loss: Loss | None, unit: float) -> str:
    if loss is None:
        return DASH
    low, high = number(unit * loss.low), number(unit * loss.high)
    return with_interval(number(unit * loss.mean), low, high)
