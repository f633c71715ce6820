"""An agent that is a teacher's clone: a rule as a policy that is stored and traded like others."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trading_assets.agent_specs import TeacherSpec
from trading_assets.policy.checkpoints import N_CHECKPOINTS, CheckpointRecorder, Marks
from trading_assets.policy.cloning import imitate, record_lessons
from trading_assets.policy.context_extractor import ContextExtractor
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.teachers import make_teacher
from trading_assets.policy.training import Training, quiet_torch
from trading_assets.simulation.vector_env import observation_space


def train_taught(training: Training, agent: TeacherSpec) -> TrainedPolicy:
    """Imitate a rule and return the best checkpoint; the same seed gives the same bytes.

    About eight checkpoints are scored; `CheckpointRecorder` says which one is kept. Their steps
    are the decisions of the rule that were read.

    Raises
    ------
    DataError
        If the rule cannot be made for the task.
    """
    recorder = CheckpointRecorder(training)
    with quiet_torch():
        teacher = make_teacher(agent.rule, training.task, training.episodes)
        lessons = record_lessons(training, teacher)
        torch.manual_seed(training.seed)
        actor = _actor(training, agent.hidden_units)
        marks = Marks(max(agent.total_steps // N_CHECKPOINTS, 1))
        read = 0
        for read in imitate(actor, lessons, agent.total_steps, agent.learning_rate, training.seed):
            if read < agent.total_steps and marks.is_reached(read):
                recorder.record(_tensors(actor), read)
            if recorder.is_over:
                break
        else:
            recorder.record(_tensors(actor), read)
    return recorder.best()


def _actor(training: Training, n_hidden: int) -> nn.Sequential:
    view = training.task.view
    extractor = ContextExtractor(
        observation_space(training.task, "indexed"), view.context, view.window_bars
    )
    layers = (
        nn.Linear(extractor.features_dim, n_hidden),
        nn.Tanh(),
        nn.Linear(n_hidden, n_hidden),
        nn.Tanh(),
        nn.Linear(n_hidden, len(training.task.market.symbols)),
    )
    return nn.Sequential(extractor, *layers)


def _tensors(actor: nn.Sequential) -> dict[str, NDArray[np.float32]]:
    layers = zip(("hidden_0", "hidden_1", "action"), (actor[1], actor[3], actor[5]), strict=True)
    return {
        f"{name}.{part}": value.detach().numpy().copy()
        for name, layer in layers
        for part, value in layer.named_parameters()
    }
