"""Mirrors the ledger of trials to MLflow, one run a trial; no verdict reads it.

The ledger is in the manifest. What MLflow lacks of it, such as all of it in a store that was
deleted, is added whenever trials are mirrored.
"""

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.errors import DataError
from trading_assets.governance.tracking import MAX_PARAM_LENGTH, find_experiment, only_writer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SHARPE, TRIAL = "sharpe_annual", "trial"
_PAGE_RUNS = 1_000


@dataclass(frozen=True, slots=True)
class MirroredTrial:
    """One counted trial.

    Attributes
    ----------
    key : str
        What tells it from the others.
    name : str
        Name of its run.
    params : mapping of str to object
        Its parameters, at most 100.
    sharpe_annual : float
        Annual Sharpe ratio of its kept returns; nan without.
    """

    key: str
    name: str
    params: Mapping[str, object]
    sharpe_annual: float


def mirror_trials(
    uri: str, artifacts: Path, experiment: str, trials: Sequence[MirroredTrial]
) -> None:
    """Add the trials that an experiment lacks, and the Sharpe ratios that changed.

    Parameters
    ----------
    uri : str
        Tracking address, such as `sqlite:///.../mlflow.db`.
    artifacts : Path
        Folder that keeps artefacts when the address is a database.
    experiment : str
        MLflow experiment, one for each data set.
    trials : sequence of MirroredTrial
        The whole ledger of the data set.

    Raises
    ------
    DataError
        If the store refuses or does not answer.
    """
    # MLflow asks home about itself unless told not to.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with only_writer(uri, artifacts):
            client = MlflowClient(tracking_uri=uri)
            experiment_id = find_experiment(client, uri, artifacts, experiment)
            mirrored = _mirrored(client, experiment_id)
            for trial in trials:
                _mirror(client, experiment_id, trial, mirrored.get(trial.key))
    except MlflowException as error:
        # The address may hold a password.
        cause = str(error).splitlines()[0]
        msg = (
            f"the MLflow store could not be written ({cause}); the trials are counted in the"
            " manifest all the same, so start the store or correct MLFLOW_TRACKING_URI, then run"
            " again"
        )
        raise DataError(msg) from error


def _mirrored(client: "MlflowClient", experiment_id: str) -> dict[str, "Run"]:
    """Return the runs of an experiment by the key of their trial."""
    found: dict[str, Run] = {}
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], max_results=_PAGE_RUNS, page_token=token)
        found |= {run.data.tags[TRIAL]: run for run in page if TRIAL in run.data.tags}
        token = page.token
        if not token:
            return found


def _mirror(
    client: "MlflowClient", experiment_id: str, trial: MirroredTrial, run: "Run | None"
) -> None:
    from mlflow.entities import Metric, Param

    known = None if run is None else run.data.metrics.get(SHARPE)
    if run is None:
        run = client.create_run(experiment_id, tags={TRIAL: trial.key}, run_name=trial.name)
        values = {name: str(value)[:MAX_PARAM_LENGTH] for name, value in trial.params.items()}
        client.log_batch(run.info.run_id, params=[Param(k, v) for k, v in values.items()])
        client.set_terminated(run.info.run_id)
    if math.isfinite(trial.sharpe_annual) and known != trial.sharpe_annual:
        now_ms = time.time_ns() // 1_000_000
        metric = Metric(SHARPE, trial.sharpe_annual, now_ms, 0)
        client.log_batch(run.info.run_id, metrics=[metric])
