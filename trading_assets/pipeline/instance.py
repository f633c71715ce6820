"""Opens the instance the way Dagster's own commands do, and sweeps runs whose process died."""

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef

PROCESS_TAG = "trading_assets/process"
CONFIG = "dagster.yaml"
UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


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
    """Return the reference by which another process opens the same instance."""
    home = os.environ.get("DAGSTER_HOME")
    if home:
        return InstanceRef.from_dir(home)
    base = data / "dagster"
    base.mkdir(parents=True, exist_ok=True)
    has_config = Path(CONFIG).is_file()
    return InstanceRef.from_dir(str(base), config_dir=str(Path.cwd()) if has_config else None)


def process_identity() -> str:
    """Return host, boot and process: what a run's tag says of who executes it."""
    return f"{socket.gethostname()}:{_boot_id()}:{os.getpid()}"


def sweep_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs failed whose process is gone, and free their slots; return their ids.

    A run says in a tag which process executes it. One of another host is left to that host.
    """
    swept: list[str] = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED)):
        identity = run.tags.get(PROCESS_TAG)
        if identity and _is_dead(identity):
            instance.report_run_failed(run, "The process of this run ended without a word.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            swept.append(run.run_id)
    return swept


def _is_dead(identity: str) -> bool:
    host, boot, pid = identity.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    return boot != _boot_id() or not Path(f"/proc/{pid}").exists()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
