"""Opens the instance the way Dagster's own commands do, and sweeps runs whose process died."""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from trading_assets.errors import UserError

PROCESS_TAG = "trading_assets/process"
CONFIG = "dagster.yaml"
TRAINING_POOL = "training"
TRAININGS = 2
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextmanager
def open_instance(data: Path) -> Generator[dg.DagsterInstance]:
    """Open the instance of DAGSTER_HOME, of the folder's dagster.yaml, or of the data folder.

    Parameters
    ----------
    data : Path
        Data folder; its sub-folder `dagster` keeps the instance where nothing else says so.
    """
    with dg.DagsterInstance.from_ref(instance_ref(data)) as instance:
        yield instance


def instance_ref(data: Path) -> InstanceRef:
    """Return the reference by which another process opens the same instance.

    Raises
    ------
    UserError
        If the data folder cannot be written.
    """
    base = _writable_folder(data / "dagster")
    home = os.environ.get("DAGSTER_HOME")
    if home:
        return InstanceRef.from_dir(home)
    has_config = Path(CONFIG).is_file()
    return InstanceRef.from_dir(str(base), config_dir=str(Path.cwd()) if has_config else None)


def _writable_folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(path, os.W_OK)
    except OSError:
        is_writable = False
    if not is_writable:
        msg = (
            f"data folder {path.parent} cannot be written; allow it, or name another in"
            " TRADING_ASSETS_DATA"
        )
        raise UserError(msg)
    return path


def process_identity() -> str:
    """Return host, boot and process: what a run's tag says of who executes it."""
    return f"{socket.gethostname()}:{_boot_id()}:{os.getpid()}"


def set_pool_limits(instance: dg.DagsterInstance) -> None:
    """Let as many trainings run together as `TRAININGS`; other pools keep the configured limit."""
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        storage.set_concurrency_slots(TRAINING_POOL, TRAININGS)


def sweep_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs failed whose process is gone, and free their slots; return their ids.

    A run says in a tag which process executes it. One of another host is left to that host, and one
    that still has the tag of the run it repeats has no process of its own yet.
    """
    swept: list[str] = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED)):
        identity = run.tags.get(PROCESS_TAG)
        parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
        is_inherited = parent is not None and parent.tags.get(PROCESS_TAG) == identity
        if identity and not is_inherited and is_process_gone(identity):
            instance.report_run_failed(run, "The process of this run ended without a word.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            swept.append(run.run_id)
    return swept


def is_process_gone(identity: str) -> bool:
    """Return whether the process of this identity has ended; of another host it is not known."""
    host, boot, pid = identity.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    return boot != _boot_id() or not Path(f"/proc/{pid}").exists()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
