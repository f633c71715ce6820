"""What a forecaster's blocking checks look at, read from its card as it was stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.selection import MOST_P_VALUE
from trading_assets.forecast.windows import WindowLike


@dataclass(frozen=True, slots=True)
class ForecasterJudgement:
    """Whether a forecaster may be used, and its figures.

    Attributes
    ----------
    not_purged : list of str
        Labels that reach into a later window.
    worse_serves : list of str
        Why the served model is not the one that the rule names.
    served, reason : str
        The candidate that serves, and why.
    figures : mapping of str to float
        Log-losses on the judging days in nats, accuracy, rows.
    table : str
        Figures of every candidate, as Markdown.
    """

    not_purged: list[str]
    worse_serves: list[str]
    served: str
    reason: str
    figures: Mapping[str, float]
    table: str


def judge_forecaster(forecaster: Forecaster, window: WindowLike) -> ForecasterJudgement:
    """Hold a forecaster's card, after a round trip through its files, against its window.

    Parameters
    ----------
    forecaster : Forecaster
        As trained.
    window : WindowLike
        Days of training and validation.
    """
    card = Forecaster.from_files(forecaster.to_files()).card
    metrics: Mapping[str, Any] = card["metrics"]
    last_train, last_validation = (
        date.fromisoformat(card[name][1]) for name in ("train", "validation")
    )
    not_purged: list[str] = []
    if last_train >= window.validation_start:
        not_purged.append(
            f"a training label ends on {last_train}; expected before {window.validation_start}"
        )
    if last_validation > window.train_end:
        not_purged.append(
            f"a validation label ends on {last_validation}; expected by {window.train_end}"
        )
    candidates: Mapping[str, Mapping[str, Any]] = metrics["candidates"]
    served = str(card["served"])
    own = candidates[served]
    return ForecasterJudgement(
        not_purged=not_purged,
        worse_serves=_contradictions(served, metrics),
        served=served,
        reason=str(card["reason"]),
        figures={
            **{f"log_loss_{name}": float(found["log_loss"]) for name, found in candidates.items()},
            "accuracy_served": float(own["accuracy"]),
            "accuracy_served_low": float(own["accuracy_interval"][0]),
            "accuracy_served_high": float(own["accuracy_interval"][1]),
            "base_rate": float(metrics["base_rate"]),
            "brier_served": float(own["brier"]),
            "calibration_error_served": float(own["calibration_error"]),
            "temperature": float(own["temperature"]),
            **{name: float(own[name]) for name in _CORRELATIONS if own[name] is not None},
            "train_rows": float(metrics["train_rows"]),
            "stopping_rows": float(metrics["stopping_rows"]),
            "judging_rows": float(metrics["judging_rows"]),
            "purged_rows": float(metrics["purged_rows"]),
            "both_touched_rows": float(metrics["both_touched_rows"]),
        },
        table=_tabulate(candidates),
    )


_CORRELATIONS = ("ic", "ic_t", "rank_ic", "rank_ic_t")


def _contradictions(served: str, metrics: Mapping[str, Any]) -> list[str]:
    """Say where the served candidate is not the one that the card's own figures ask for."""
    losses = {name: float(found["log_loss"]) for name, found in metrics["candidates"].items()}
    gates = {name: loss for name, loss in losses.items() if name != "network"}
    best = min(gates, key=lambda name: gates[name]) if gates else served
    found = metrics["network_over_logistic"] or {}
    p_value = found.get("p_value")
    is_proven = p_value is not None and p_value < MOST_P_VALUE
    wanted = "network" if is_proven and losses["network"] < losses[best] else best
    if served == wanted:
        return []
    return [
        f"{served} serves with {losses[served]:.4f} nats; expected {wanted} with"
        f" {losses[wanted]:.4f}, as p of the network over logistic is {p_value}"
    ]


_COLUMNS = {
    "log-loss": "log_loss",
    "untempered": "uncalibrated_log_loss",
    "Brier": "brier",
    "calibration error": "calibration_error",
    "accuracy": "accuracy",
    "95 %": "accuracy_interval",
    "IC": "ic",
    "t": "ic_t",
    "rank-IC": "rank_ic",
    "t of it": "rank_ic_t",
    "temperature": "temperature",
}


def _tabulate(candidates: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"| candidate | {' | '.join(_COLUMNS)} |", "|---" * (len(_COLUMNS) + 1) + "|"]
    for name, found in candidates.items():
        cells = [_cell(found[field]) for field in _COLUMNS.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: float | Sequence[float] | None) -> str:
    if isinstance(value, Sequence):
        return " to ".join(f"{end:.3f}" for end in value)
    return "-" if value is None else f"{value:.4f}"
