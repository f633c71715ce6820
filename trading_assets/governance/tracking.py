"""Mirrors models and their figures to MLflow as plain files; nothing is loaded from there.

The lake stays the truth. MLflow's own model flavours are not used: loading one can run code.
"""

import fcntl
import os
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

MAX_PARAM_LENGTH = 500


def log_model(
    uri: str,
    artifacts: Path,
    experiment: str,
    name: str,
    files: Mapping[str, bytes],
    described: tuple[Mapping[str, object], Mapping[str, float], Mapping[str, str]],
) -> str:
    """Log one model's files with parameters, metrics and tags; return the MLflow run's id.

    Parameters
    ----------
    uri : str
        Tracking address, such as `sqlite:///.../mlflow.db`.
    artifacts : Path
        Folder that keeps artefacts when the address is a database.
    experiment : str
        MLflow experiment, one for each declaration and asset.
    name : str
        Name of the run.
    files : mapping of str to bytes
        Relative file names and contents.
    described : tuple of mappings
        Parameters, metrics (finite numbers) and tags.
    """
    # MLflow asks home about itself unless told not to.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    params, metrics, tags = described
    with _only_writer(uri, artifacts):
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        location = None if uri.startswith("http") else (artifacts / experiment).as_uri()
        experiment_id = (
            found.experiment_id
            if found is not None
            else client.create_experiment(experiment, artifact_location=location)
        )
        run = client.create_run(experiment_id, run_name=name)
        run_id = str(run.info.run_id)
        client.log_batch(
            run_id,
            metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()],
            params=[Param(key, str(value)[:MAX_PARAM_LENGTH]) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            for relative, content in files.items():
                target = Path(folder) / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            client.log_artifacts(run_id, folder, "model")
        client.set_terminated(run_id)
    return run_id


@contextmanager
def _only_writer(uri: str, artifacts: Path) -> Generator[None]:
    """Let one process at a time create or write the local store: its set-up is not concurrent."""
    if uri.startswith("http"):
        yield
        return
    artifacts.mkdir(parents=True, exist_ok=True)
    with (artifacts.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
