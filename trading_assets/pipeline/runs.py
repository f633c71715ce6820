"""Launches the runs of a plan on the instance, a few processes at a time."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import dagster as dg
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import execute_run
from dagster._core.instance.ref import InstanceRef
from dagster._core.origin import JobPythonOrigin
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id

from trading_assets.errors import UserError
from trading_assets.periods import Axis
from trading_assets.pipeline.instance import PROCESS_TAG, process_identity
from trading_assets.plan import RunStep

MODULE = "trading_assets.definitions"
# How often progress is asked for; a run that ends is noticed at once.
POLL_SECONDS = 1.0
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed: one sentence, and whether it is a mistake that a user can mend."""

    sentence: str
    is_mistake: bool = False


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of one launched run; no error means that it succeeded."""

    step: RunStep
    run_id: str
    error: RunError | None = None


Progress = Callable[[RunStep, str, str], None]


def launch(
    steps: Sequence[RunStep],
    ref: InstanceRef,
    tags: Mapping[str, str],
    progress: Progress,
    log: Path,
) -> list[RunOutcome]:
    """Execute independent runs on the instance and wait for all of them.

    Parameters
    ----------
    steps : sequence of RunStep
        Runs that need nothing of each other.
    ref : InstanceRef
        The instance on which the runs are recorded.
    tags : mapping
        Tags of every run.
    progress : callable
        Told of each run's step, id and what it does at present.
    log : Path
        File that receives what the runs' processes print.
    """
    with (
        dg.DagsterInstance.from_ref(ref) as instance,
        ProcessPoolExecutor(
            min(PROCESSES, len(steps)),
            mp_context=get_context("spawn"),
            initializer=_begin_process,
            initargs=(log,),
        ) as pool,
    ):
        running: dict[Future[RunError | None], tuple[RunStep, str]] = {}
        for step in steps:
            run_id = make_new_run_id()
            running[pool.submit(execute, step, run_id, ref, dict(tags))] = (step, run_id)
        outcomes: list[RunOutcome] = []
        while running:
            done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
            for future in done:
                step, run_id = running.pop(future)
                outcomes.append(_outcome(instance, future, step, run_id))
                progress(step, run_id, "failed" if outcomes[-1].error else "done")
            for step, run_id in running.values():
                progress(step, run_id, _current_step(instance, run_id))
    return outcomes


def execute(step: RunStep, run_id: str, ref: InstanceRef, tags: dict[str, str]) -> RunError | None:
    """Execute one run in this process; return why it failed, or None."""
    with dg.DagsterInstance.from_ref(ref) as instance:
        repository = _repository()
        keys = [dg.AssetKey(asset.split("/")) for asset in step.assets]
        job = repository.get_definition().get_implicit_job_def_for_assets(keys)
        assert job is not None, "a plan's step holds assets of one partitions definition"
        origin = JobPythonOrigin(job.name, repository.get_python_origin())
        run = instance.create_run_for_job(
            job,
            run_id=run_id,
            tags={**tags, **_partition_tags(step), PROCESS_TAG: process_identity()},
            asset_selection=frozenset(keys),
            job_code_origin=origin,
            remote_job_origin=RemoteJobOrigin(_remote_repository(), job.name),
        )
        result = execute_run(ReconstructableJob(repository, job.name), run, instance)
        return None if result.success else _first_error(result)


def _begin_process(log: Path) -> None:
    """Send what this process prints to a file, and end it when the driver's own process ends."""
    _log_to(log)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A run that outlived a killed driver would race against the run that repeats it.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _partition_tags(step: RunStep) -> dict[str, str]:
    if step.axis is Axis.NONE:
        return {}
    if len(step.partitions) == 1:
        return {PARTITION_NAME_TAG: step.partitions[0]}
    return {
        ASSET_PARTITION_RANGE_START_TAG: step.partitions[0],
        ASSET_PARTITION_RANGE_END_TAG: step.partitions[-1],
    }


@cache
def _repository() -> ReconstructableRepository:
    pointer = CodePointer.from_module(MODULE, "defs", working_directory=str(Path.cwd()))
    return ReconstructableRepository(pointer)


def _remote_repository() -> RemoteRepositoryOrigin:
    """Return the origin under which the UI knows the code location of `workspace.yaml`."""
    target = LoadableTargetOrigin(module_name=MODULE)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=MODULE)
    return RemoteRepositoryOrigin(location, "__repository__")


def _current_step(instance: dg.DagsterInstance, run_id: str) -> str:
    if not instance.has_run(run_id):
        return "waiting"
    started = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
    if not started:
        return "starting"
    event = started[-1].dagster_event
    return "" if event is None else str(event.step_key).split("__", 1)[-1]


def _outcome(
    instance: dg.DagsterInstance, future: Future[RunError | None], step: RunStep, run_id: str
) -> RunOutcome:
    try:
        error = future.result()
    except BrokenProcessPool:
        error = RunError("the run's process ended without a word; see its log in the UI")
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, error.sentence)
    return RunOutcome(step, run_id, error)


def _first_error(result: dg.JobExecutionResult) -> RunError:
    for event in result.all_events:
        data = event.event_specific_data
        error = getattr(data, "error", None)
        if event.event_type is dg.DagsterEventType.STEP_FAILURE and error is not None:
            while error.cause is not None:
                error = error.cause
            # Dagster keeps an error's class by name only, in front of its text.
            sentence = str(error.message).strip().splitlines()[0]
            if error.cls_name in _names_of(UserError):
                return RunError(sentence.split(f"{error.cls_name}: ", 1)[-1], is_mistake=True)
            return RunError(sentence)
    return RunError("the run failed; see its log in the UI")


def _names_of(error: type[Exception]) -> set[str]:
    return {error.__name__}.union(*(_names_of(inner) for inner in error.__subclasses__()))
