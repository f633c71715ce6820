"""The seeds of one agent, trained one after the other or each in a process of its own."""

import multiprocessing
import os
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import polars as pl

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.errors import DataError, UserError
from trading_assets.policy.networks import Checkpoint, TrainedPolicy
from trading_assets.policy.train import train_agent
from trading_assets.policy.training import TrainingWatch
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

# A process takes some seconds to begin: shorter trainings are done before it has.
LEAST_STEPS_OF_A_PROCESS = 50_000


@dataclass(frozen=True, slots=True)
class SeedInputs:
    """What all seeds of an agent are trained on; the arguments of `train_agent`.

    Attributes
    ----------
    market : Market
        Covers all sessions.
    features, forecasts : DataFrame
        Tables with a row for each symbol and session.
    train_sessions, validation_sessions : sequence of date
        Consecutive sessions, validation after training.
    strategy : Strategy
        Costs, limits, sizing, observations and reward.
    agent : DeclaredAgent
        Algorithm and sizes.
    """

    market: Market
    features: pl.DataFrame
    forecasts: pl.DataFrame
    train_sessions: Sequence[date]
    validation_sessions: Sequence[date]
    strategy: Strategy
    agent: DeclaredAgent

    def train(self, seed: int, watch: TrainingWatch) -> TrainedPolicy:
        """Train one seed in this process."""
        return train_agent(
            self.market,
            self.features,
            self.forecasts,
            self.train_sessions,
            self.validation_sessions,
            self.strategy,
            self.agent,
            seed,
            watch,
        )


def train_every_seed(
    inputs: SeedInputs, watch: TrainingWatch, n_processes: int
) -> tuple[TrainedPolicy, ...]:
    """Return the trained policies in order of seeds; they are the same for any number of processes.

    Parameters
    ----------
    inputs : SeedInputs
        What is trained on.
    watch : TrainingWatch
        Where states are kept, and who is told of checkpoints, in this process.
    n_processes : int
        Most seeds trained at once. Short trainings are done in this process.

    Raises
    ------
    DataError
        If a process ended before its seed was trained.
    UserError
        As the training of a seed raises it, with the seed's number.
    """
    seeds = range(inputs.agent.seeds)
    is_short = inputs.agent.total_steps < LEAST_STEPS_OF_A_PROCESS
    if min(n_processes, len(seeds)) < 2 or is_short:
        return tuple(inputs.train(seed, watch) for seed in seeds)
    files: dict[int, dict[str, bytes]] = {}
    with _running(inputs, watch, n_processes) as running:
        while len(files) < len(seeds):
            for channel in wait(running.channels):
                seed = running.seed_of(channel)
                kind, value = running.receive(channel, seed)
                if kind == "checkpoint":
                    if watch.report is not None:
                        watch.report(seed, value)
                elif kind == "trained":
                    files[seed] = value
                    running.follow(channel)
                else:
                    msg = f"seed {seed}: {value}"
                    raise type(value)(msg) from value
    return tuple(TrainedPolicy.from_files(files[seed]) for seed in seeds)


class _Running:
    """Processes that train, each with a channel that it reports by."""

    def __init__(self, inputs: SeedInputs, watch: TrainingWatch) -> None:
        # Not forked: libraries keep threads, which a fork would leave behind in the midst of work.
        self._context = multiprocessing.get_context("spawn")
        self._inputs, self._folder = inputs, watch.folder
        self._waiting = list(range(inputs.agent.seeds))
        self._at_work: dict[Any, tuple[int, BaseProcess]] = {}

    @property
    def channels(self) -> list[Any]:
        return list(self._at_work)

    def seed_of(self, channel: Any) -> int:  # noqa: ANN401  what `wait` returns
        return self._at_work[channel][0]

    def start(self) -> None:
        """Begin the next seed, if one waits."""
        if not self._waiting:
            return
        seed = self._waiting.pop(0)
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_train_and_tell,
            args=(self._inputs, seed, TrainingWatch(self._folder), theirs),
            name=f"seed-{seed}",
            daemon=True,
        )
        process.start()
        theirs.close()
        self._at_work[ours] = (seed, process)

    def receive(self, channel: Any, seed: int) -> tuple[str, Any]:  # noqa: ANN401
        try:
            return channel.recv()
        except EOFError as error:
            process = self._at_work[channel][1]
            process.join()
            msg = (
                f"the process that trained seed {seed} ended with exit code {process.exitcode};"
                " expected a trained policy: what it printed says why, unless it was killed for"
                " memory; run it again, which goes on where it was"
            )
            raise DataError(msg) from error

    def follow(self, channel: Any) -> None:  # noqa: ANN401
        """End a process whose seed is trained, and begin the next."""
        _, process = self._at_work.pop(channel)
        process.join()
        channel.close()
        self.start()

    def stop(self) -> None:
        for channel, (_, process) in self._at_work.items():
            process.terminate()
            process.join()
            channel.close()


@contextmanager
def _running(inputs: SeedInputs, watch: TrainingWatch, n_processes: int) -> Generator[_Running]:
    running = _Running(inputs, watch)
    try:
        for _ in range(n_processes):
            running.start()
        yield running
    finally:
        running.stop()


def _train_and_tell(
    inputs: SeedInputs, seed: int, watch: TrainingWatch, channel: "Connection[Any, Any]"
) -> None:
    def tell(_: int, point: Checkpoint) -> None:
        channel.send(("checkpoint", point))

    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        policy = inputs.train(seed, TrainingWatch(watch.folder, tell))
    except UserError as error:
        channel.send(("refused", error))
    else:
        channel.send(("trained", policy.to_files()))
    channel.close()


def _end_with_parent() -> None:
    """End this process at once when the one that began it has ended, by whatever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
