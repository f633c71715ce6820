"""One training of one agent: what it is given, and a quiet place for it to run in."""

import hashlib
import json
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import stable_baselines3
import torch

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.constraint_specs import ConstraintSpec
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.networks import Checkpoint, TrainedPolicy
from trading_assets.rebalance_specs import is_every_bar
from trading_assets.simulation.core import Floats
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.task import TradingTask

Score = Callable[[TrainedPolicy], Floats]
"""Validation rewards of a deterministic policy, float64 (n,), comparable element by element."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit that an agent learns to keep.

    Attributes
    ----------
    spec : ConstraintSpec
        Measure, limit and gains.
    measure : callable
        Mean measure a bar of a deterministic policy on the validation window.
    """

    spec: ConstraintSpec
    measure: Callable[[TrainedPolicy], float]


@dataclass(frozen=True, slots=True)
class TrainingWatch:
    """Where trainings keep their state, and who is told of their checkpoints.

    Attributes
    ----------
    folder : Path, optional
        Holds a folder for each seed.
    report : callable, optional
        Told the seed and each checkpoint when it was scored.
    """

    folder: Path | None = None
    report: Callable[[int, Checkpoint], None] | None = None

    def folder_of(self, seed: int) -> Path | None:
        """Return where the state of a seed's training is kept."""
        return None if self.folder is None else self.folder / f"seed-{seed}"

    def report_of(self, seed: int) -> Callable[[Checkpoint], None] | None:
        """Return who is told of a seed's checkpoints."""
        return None if self.report is None else partial(self.report, seed)


UNWATCHED = TrainingWatch()


@dataclass(frozen=True, slots=True)
class Training:
    """One training, complete.

    Attributes
    ----------
    task : TradingTask
        Market and reward of the train window.
    episodes : Episodes
        Rows of the train window.
    rules : DecisionRules
        What the policy observes and may do.
    agent : DeclaredAgent
        Algorithm and sizes.
    seed : int
        Seed of weights, actions, minibatches and episode starts.
    score : callable
        Validation rewards of a policy; used to choose a checkpoint.
    state_folder : Path, optional
        Where the state of the training is kept, so that one that was killed goes on.
    report : callable, optional
        Told of each checkpoint when it was scored.
    constraint : Constraint, optional
        What the agent has to keep beside being paid.
    sectors : tuple of int, optional
        Sector of each symbol; absent, each is one of its own.
    """

    task: TradingTask
    episodes: Episodes
    rules: DecisionRules
    agent: DeclaredAgent
    seed: int
    score: Score
    state_folder: Path | None = None
    report: Callable[[Checkpoint], None] | None = None
    constraint: Constraint | None = None
    sectors: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """Digest of all that the training depends on, but for the code."""
        task = self.task
        values = (
            self.agent.model_dump_json(),
            str(self.seed),
            json.dumps(self.rules.to_card(), sort_keys=True),
            repr(self.episodes),
            task.costs.model_dump_json(),
            repr((task.sizing, task.is_long_only, task.initial_usd, task.reward, task.trackers)),
            repr(task.randomisation),
            repr(self.sectors),
            "" if self.constraint is None else self.constraint.spec.model_dump_json(),
            torch.__version__,
            stable_baselines3.__version__,
            version("sb3-contrib"),
        )
        digest = hashlib.sha256("\n".join(values).encode())
        every = np.arange(len(task.tape))
        factors = task.view.size_weights(np.ones(task.market.close.shape), every)
        for array in (task.view.context, task.tape, task.covariance, factors):
            digest.update(np.ascontiguousarray(array).tobytes())
        if not is_every_bar(self.rules.rebalance):
            # Which sessions begin a week.
            digest.update(task.market.sessions.tobytes())
        return digest.hexdigest()


@contextmanager
def quiet_torch() -> Generator[None]:
    """Run on one thread, and give the caller's random generators and threads back afterwards."""
    # One thread is faster for small networks and makes sums independent of the number of cores.
    threads = torch.get_num_threads()
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
