"""Mirrors models and their figures to MLflow as plain files; nothing is loaded from there.

The lake stays the truth. MLflow's own model flavours are not used: loading one can run code.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_PARAM_LENGTH = 500


@dataclass(frozen=True, slots=True)
class RunAbout:
    """What an MLflow run is about.

    Attributes
    ----------
    experiment : str
        MLflow experiment, one for each declaration and asset.
    name : str
        Name of the run.
    params, tags : mapping
        Parameters and tags, known at its start.
    """

    experiment: str
    name: str
    params: Mapping[str, object]
    tags: Mapping[str, str]


class TrackedRun:
    """One run in MLflow, written while it goes on.

    Parameters
    ----------
    uri : str
        Tracking address, such as `sqlite:///.../mlflow.db`.
    artifacts : Path
        Folder that keeps artefacts when the address is a database.
    about : RunAbout
        What is tracked.
    """

    def __init__(self, uri: str, artifacts: Path, about: RunAbout) -> None:
        # MLflow asks home about itself unless told not to.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        self._uri, self._artifacts = uri, artifacts
        with only_writer(uri, artifacts):
            self._client = MlflowClient(tracking_uri=uri)
            experiment_id = find_experiment(self._client, uri, artifacts, about.experiment)
            run = self._client.create_run(experiment_id, run_name=about.name)
            self.run_id = str(run.info.run_id)
            self._client.log_batch(
                self.run_id,
                params=[Param(k, str(v)[:MAX_PARAM_LENGTH]) for k, v in about.params.items()],
                tags=[RunTag(key, value) for key, value in about.tags.items()],
            )

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Add finite figures at a step, such as validation scores after so many steps."""
        from mlflow.entities import Metric

        now_ms = time.time_ns() // 1_000_000
        with only_writer(self._uri, self._artifacts):
            self._client.log_batch(
                self.run_id, metrics=[Metric(k, v, now_ms, step) for k, v in metrics.items()]
            )

    def tag(self, tags: Mapping[str, str]) -> None:
        """Add tags that are known only later, such as digests."""
        from mlflow.entities import RunTag

        with only_writer(self._uri, self._artifacts):
            found = [RunTag(key, value) for key, value in tags.items()]
            self._client.log_batch(self.run_id, tags=found)

    def finish(self, files: Mapping[str, bytes]) -> None:
        """Add files by relative name and end the run."""
        with only_writer(self._uri, self._artifacts), tempfile.TemporaryDirectory() as folder:
            for relative, content in files.items():
                target = Path(folder) / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            self._client.log_artifacts(self.run_id, folder, "model")
            self._client.set_terminated(self.run_id)

    def fail(self) -> None:
        """End the run as one that failed."""
        with only_writer(self._uri, self._artifacts):
            self._client.set_terminated(self.run_id, status="FAILED")


@contextmanager
def tracked_run(uri: str, artifacts: Path, about: RunAbout) -> Generator[TrackedRun]:
    """Open a run that ends as failed unless it is finished."""
    run = TrackedRun(uri, artifacts, about)
    try:
        yield run
    except BaseException:
        run.fail()
        raise


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
    params, metrics, tags = described
    with tracked_run(uri, artifacts, RunAbout(experiment, name, params, tags)) as run:
        run.log(metrics)
        run.finish(files)
    return run.run_id


def find_experiment(client: "MlflowClient", uri: str, artifacts: Path, name: str) -> str:
    """Return the id of an experiment, which is made unless it is there."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None if uri.startswith("http") else (artifacts / name).as_uri()
    return str(client.create_experiment(name, artifact_location=location))


@contextmanager
def only_writer(uri: str, artifacts: Path) -> Generator[None]:
    """Let one process at a time create or write the local store: its set-up is not concurrent."""
    if uri.startswith("http"):
        yield
        return
    artifacts.mkdir(parents=True, exist_ok=True)
    with (artifacts.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
