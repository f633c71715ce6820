"""What a forecaster's blocking checks look at, read from its card as it was stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.windows import WindowLike


@dataclass(frozen=True, slots=True)
class ForecasterJudgement:
    """Whether a forecaster may be used, and its figures.

    Attributes
    ----------
    not_purged : list of str
        Labels that reach into a later window.
    worse_serves : list of str
        Why the served model is not the one with the lower validation log-loss.
    served : str
        `network` or `logistic`.
    figures : mapping of str to float
        Validation log-losses in nats, accuracy, rows.
    """

    not_purged: list[str]
    worse_serves: list[str]
    served: str
    figures: Mapping[str, float]


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
    losses = {name: float(metrics[name]["log_loss"]) for name in ("network", "logistic")}
    better = min(losses, key=lambda name: losses[name])
    served = str(card["served"])
    worse = [f"{served} serves with {losses[served]:.4f} nats; {better} has {losses[better]:.4f}"]
    return ForecasterJudgement(
        not_purged=not_purged,
        worse_serves=worse if losses[served] > losses[better] else [],
        served=served,
        figures={
            "log_loss_network": losses["network"],
            "log_loss_logistic": losses["logistic"],
            "log_loss_prior": float(metrics["prior_log_loss"]),
            "accuracy_served": float(metrics[served]["accuracy"]),
            "temperature": float(metrics[served]["temperature"]),
            "train_rows": float(metrics["train_rows"]),
            "purged_rows": float(metrics["purged_rows"]),
        },
    )
