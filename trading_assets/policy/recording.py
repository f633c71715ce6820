"""What is kept of a learner while it trains: its checkpoints, and the state it goes on from."""

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from trading_assets.policy.checkpoints import N_CHECKPOINTS, CheckpointRecorder, Marks
from trading_assets.policy.recharged_memory import RechargedMemory
from trading_assets.policy.training import Training
from trading_assets.policy.training_state import (
    STATE_FILE,
    capture_learner,
    read_state,
    restore_learner,
    write_state,
)
from trading_assets.simulation.rewards.constrained import ConstrainedReward
from trading_assets.simulation.rewards.reward import Reward

# Prefixes of the two hidden layers and the action layer in the state of a learner's policy.
Layers = tuple[str, str, str]

ON_POLICY_LAYERS: Layers = (
    "mlp_extractor.policy_net.0",
    "mlp_extractor.policy_net.2",
    "action_net",
)

# States kept during a training: one that was killed repeats at most this part of it.
N_STATES = 32


class Recording(BaseCallback):
    """Records the policy after each eighth of the steps and at the end, and keeps the state.

    After a rollout it has a constraint's multiplier set anew; the next rollout is charged by it.
    """

    def __init__(
        self,
        training: Training,
        recorder: CheckpointRecorder,
        layers: Layers,
        reward: Reward,
    ) -> None:
        super().__init__()
        self._multiplier = reward.multiplier if isinstance(reward, ConstrainedReward) else None
        self._training = training
        self._recorder = recorder
        self._layers = layers
        self._total = training.agent.total_steps
        self._record_at = Marks(max(self._total // N_CHECKPOINTS, 1))
        self._keep_at = Marks(max(self._total // N_STATES, 1))
        folder = training.state_folder
        self._path = None if folder is None else folder / STATE_FILE
        self._key = "" if folder is None else training.key
        self._is_over = False

    def resume(self, model: BaseAlgorithm) -> bool:
        """Bring a new learner to the state that was kept last, if one was."""
        kept = None if self._path is None else read_state(self._path, self._key)
        if kept is None:
            return False
        arrays, values = kept
        own = {n.removeprefix("kept/"): a for n, a in arrays.items() if n.startswith("kept/")}
        self._recorder.set_state(own, values["kept"])
        self._record_at.pass_by(values["counters"]["num_timesteps"])
        self._keep_at.pass_by(values["counters"]["num_timesteps"])
        restore_learner(model, arrays, values)
        self._is_over = self._recorder.is_over
        return True

    def _on_step(self) -> bool:
        return not self._is_over

    def _on_rollout_start(self) -> None:
        # Weights change between rollouts: here those of all earlier rollouts are in.
        steps = self.num_timesteps
        if steps >= self._total or self._is_over:
            return
        if self._record_at.is_reached(steps):
            self._record()
            self._is_over = self._recorder.is_over
        if self._path is not None and self._keep_at.is_reached(steps):
            arrays, values = capture_learner(self.model)
            kept, values["kept"] = self._recorder.get_state()
            arrays |= {f"kept/{name}": array for name, array in kept.items()}
            write_state(self._path, self._key, arrays, values)

    def _on_rollout_end(self) -> None:
        if self._multiplier is None or not self._multiplier.update():
            return
        memory = getattr(self.model, "replay_buffer", None)
        if isinstance(memory, RechargedMemory):
            memory.recharge()

    def _on_training_end(self) -> None:
        if not self._is_over:
            self._record()

    def _record(self) -> None:
        tensors = actor_tensors(self.model, self._layers)
        multiplier = None if self._multiplier is None else self._multiplier.value
        self._recorder.record(tensors, self.num_timesteps, multiplier)


def actor_tensors(model: BaseAlgorithm, layers: Layers) -> dict[str, NDArray[np.float32]]:
    """Return the weights of an actor by the names that `TrainedPolicy` knows, copied."""
    state = {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in model.policy.state_dict().items()
    }
    names = ("hidden_0", "hidden_1", "action")
    tensors = {
        f"{ours}.{part}": state[f"{theirs}.{part}"]
        for ours, theirs in zip(names, layers, strict=True)
        for part in ("weight", "bias")
    }
    # Actors of off-policy agents have an extractor of their own.
    before = "actor." if layers[0].startswith("actor.") else ""
    parts = {"encoder.": f"{before}features_extractor.encoder.", "memory.": "lstm_actor."}
    return tensors | {
        ours + name.removeprefix(theirs): tensor
        for ours, theirs in parts.items()
        for name, tensor in state.items()
        if name.startswith(theirs)
    }
