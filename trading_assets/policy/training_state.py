"""The whole state of a training as one file, so that one that was killed goes on exactly.

Weights, optimisers, memories, random generators, environments and recorded candidates are written
as safetensors with JSON in the header. Nothing is unpickled. A training that is resumed ends at the
same bytes as one that was never stopped.
"""

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_tensors
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr

from trading_assets.errors import DataError
from trading_assets.policy.recharged_memory import RechargedMemory
from trading_assets.simulation.vector_env import MarketVecEnv

Arrays = dict[str, NDArray[Any]]
FORMAT = "1"
STATE_FILE = "state.safetensors"

_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining")
_LAST_SEEN = ("_last_obs", "_last_episode_starts", "_last_original_obs")
_REMEMBERED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def write_state(path: Path, key: str, arrays: Arrays, values: Mapping[str, Any]) -> None:
    """Replace a state file at once; a reader sees the one before or this one.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        Digest of all that the training depends on.
    arrays : dict of str to array
        Numeric parts.
    values : mapping
        JSON parts.
    """
    metadata = {"format": FORMAT, "key": key, "values": json.dumps(values)}
    content = save_tensors({n: np.ascontiguousarray(a) for n, a in arrays.items()}, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two runs of one training must not write into one file; the later one's state counts.
    aside = path.with_suffix(f".{os.getpid()}.new")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def read_state(path: Path, key: str) -> tuple[Arrays, dict[str, Any]] | None:
    """Return what `write_state` wrote; None where there is no file or it is of another training.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if (metadata.get("format"), metadata.get("key")) != (FORMAT, key):
                return None
            arrays = {n: file.get_tensor(n).copy() for n in file.keys()}  # noqa: SIM118
            return arrays, json.loads(metadata["values"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        msg = f"{path.name} of a training that was stopped cannot be read ({error}); remove it"
        raise DataError(msg) from error


def capture_learner(model: BaseAlgorithm) -> tuple[Arrays, dict[str, Any]]:
    """Return all that a learner of Stable-Baselines3 and its environment have come to."""
    arrays: Arrays = {}
    values: dict[str, Any] = {"counters": {n: getattr(model, n, None) for n in _COUNTERS}}
    modules, variables = _stored_names(model)
    for name in modules:
        state = recursive_getattr(model, name).state_dict()
        if "param_groups" in state:
            values[name] = state["param_groups"]
            for index, slots in state["state"].items():
                for slot, tensor in slots.items():
                    arrays[f"{name}/{index}/{slot}"] = _array(tensor)
        else:
            arrays |= {f"{name}/{part}": _array(tensor) for part, tensor in state.items()}
    for name in variables:
        arrays[f"variable/{name}"] = _array(recursive_getattr(model, name))
    for name in _LAST_SEEN:
        seen = getattr(model, name, None)
        if seen is not None:
            arrays[f"last/{name}"] = seen
    if isinstance(model, RecurrentPPO):
        arrays |= {f"recurrent/{n}": _array(t) for n, t in _recurrent_states(model).items()}
    if isinstance(model, OffPolicyAlgorithm):
        memory = cast("ReplayBuffer", model.replay_buffer)
        values["memory"] = {"pos": memory.pos, "full": memory.full}
        arrays |= {f"memory/{name}": getattr(memory, name) for name in _remembered(memory)}
    env_arrays, values["env"] = cast("MarketVecEnv", model.env).get_state()
    arrays |= {f"env/{name}": array for name, array in env_arrays.items()}
    random_arrays, values["random"] = _capture_generators(model)
    return arrays | random_arrays, values


def restore_learner(model: BaseAlgorithm, arrays: Arrays, values: Mapping[str, Any]) -> None:
    """Bring a learner that was built anew to what `capture_learner` returned."""
    for name, value in values["counters"].items():
        if value is not None:
            setattr(model, name, value)
    modules, variables = _stored_names(model)
    for name in modules:
        module = recursive_getattr(model, name)
        parts = _below(arrays, f"{name}/")
        if name in values:
            module.load_state_dict({"state": _slots(parts), "param_groups": _groups(values[name])})
        else:
            module.load_state_dict({n: torch.from_numpy(a) for n, a in parts.items()})
    for name in variables:
        recursive_getattr(model, name).data = torch.from_numpy(arrays[f"variable/{name}"])
    for name in _LAST_SEEN:
        if f"last/{name}" in arrays:
            setattr(model, name, arrays[f"last/{name}"])
    _restore_memory(model, arrays, values)
    cast("MarketVecEnv", model.env).set_state(_below(arrays, "env/"), values["env"])
    _restore_generators(model, arrays, values["random"])


def _restore_memory(model: BaseAlgorithm, arrays: Arrays, values: Mapping[str, Any]) -> None:
    """Bring back transitions, and what recurrent policies carry from step to step."""
    if isinstance(model, RecurrentPPO):
        for name, state in _recurrent_states(model).items():
            state.copy_(torch.from_numpy(arrays[f"recurrent/{name}"]))
    if isinstance(model, OffPolicyAlgorithm):
        memory = cast("ReplayBuffer", model.replay_buffer)
        memory.pos, memory.full = values["memory"]["pos"], values["memory"]["full"]
        for name in _remembered(memory):
            getattr(memory, name)[:] = arrays[f"memory/{name}"]


def _recurrent_states(model: RecurrentPPO) -> dict[str, torch.Tensor]:
    """Return what actor and critic carry from step to step in each environment."""
    states = cast("Any", model)._last_lstm_states
    groups = {"actor": states.pi, "critic": states.vf}
    return {f"{name}/{place}": t for name, pair in groups.items() for place, t in enumerate(pair)}


def _remembered(memory: ReplayBuffer) -> tuple[str, ...]:
    more = RechargedMemory.REMEMBERED if isinstance(memory, RechargedMemory) else ()
    return (*_REMEMBERED, *more)


def _stored_names(model: BaseAlgorithm) -> tuple[list[str], list[str]]:
    modules, variables = cast("Any", model)._get_torch_save_params()
    return list(modules), list(variables)


def _array(value: Any) -> NDArray[Any]:  # noqa: ANN401  a tensor, or a number of an optimiser
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    return np.asarray(value)


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _slots(parts: Arrays) -> dict[int, dict[str, torch.Tensor]]:
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in parts.items():
        index, slot = name.split("/")
        slots.setdefault(int(index), {})[slot] = torch.from_numpy(array)
    return slots


def _groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # JSON turned the pair of Adam's decay rates into a list.
    return [{k: tuple(v) if k == "betas" else v for k, v in g.items()} for g in groups]


def _capture_generators(model: BaseAlgorithm) -> tuple[Arrays, dict[str, Any]]:
    version, numbers, gauss = random.getstate()
    name, keys, place, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    arrays: Arrays = {
        "random/torch": torch.get_rng_state().numpy(),
        "random/python": np.array(numbers, dtype=np.uint64),
        "random/numpy": np.asarray(keys),
    }
    return arrays, {
        "python": [version, gauss],
        "numpy": [name, int(place), int(has_gauss), float(cached)],
        "actions": model.action_space.np_random.bit_generator.state,
    }


def _restore_generators(model: BaseAlgorithm, arrays: Arrays, values: Mapping[str, Any]) -> None:
    version, gauss = values["python"]
    random.setstate((version, tuple(int(n) for n in arrays["random/python"]), gauss))
    name, place, has_gauss, cached = values["numpy"]
    np.random.set_state((name, arrays["random/numpy"], place, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(torch.from_numpy(arrays["random/torch"]))
    model.action_space.np_random.bit_generator.state = values["actions"]
