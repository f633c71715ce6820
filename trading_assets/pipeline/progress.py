"""How far trainings are: told to the run's log and to MLflow while they go on."""

from pathlib import Path
from typing import Any

import dagster as dg


def watch_training(
    context: dg.AssetExecutionContext, run: Any, folder: Path, total_steps: int
) -> Any:
    """Return a `TrainingWatch` that tells each checkpoint.

    Parameters
    ----------
    context : AssetExecutionContext
        Whose log is written to.
    run : TrackedRun
        Run in MLflow.
    folder : Path
        Where the state of trainings is kept.
    total_steps : int
        Environment steps of a training.
    """
    from trading_assets.policy.training import TrainingWatch

    def tell(seed: int, point: Any) -> None:
        found = {
            "validation_score": point.score,
            "constraint_share": point.constraint_share,
            "multiplier": point.multiplier,
        }
        known = {name: value for name, value in found.items() if value is not None}
        said = ", ".join(f"{name} {value:.3e}" for name, value in known.items())
        bar = progress_bar(point.steps / total_steps)
        context.log.info(f"seed {seed} {bar} {point.steps:,} of {total_steps:,}: {said}")
        run.log({f"{name}_seed_{seed}": v for name, v in known.items()}, point.steps)

    return TrainingWatch(folder, tell)


def progress_bar(share: float) -> str:
    """Return how far a training is, as a bar of twenty signs."""
    done = min(round(20 * share), 20)
    return f"[{'#' * done}{'.' * (20 - done)}]"
