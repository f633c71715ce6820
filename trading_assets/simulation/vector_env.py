"""K environments stepped as arrays, for Stable-Baselines3."""

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from trading_assets.errors import DataError
from trading_assets.simulation.account_rows import write_account_rows
from trading_assets.simulation.episodes import Episodes, EpisodeStarts
from trading_assets.simulation.rewards.constrained import ConstrainedReward
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.traded_books import ALL, TradedBooks, Which

Form = Literal["whole", "indexed"]

# float32 holds whole numbers up to here without a gap.
_MOST_ROWS = 2**24


class MarketVecEnv(VecEnv):
    """K books over one market, each at its own row.

    An episode starts at a random row, flat unless the task's randomisation draws weights, and is
    truncated after `length_bars` or at the end of the window; it terminates only by ruin. A
    truncated episode gives `terminal_observation` and `TimeLimit.truncated`, so that the learner
    does not take the end of the data for a bankruptcy.

    Parameters
    ----------
    task : TradingTask
        What is traded and paid.
    episodes : Episodes
        Where episodes run.
    n_envs : int
        K.
    form : {"whole", "indexed"}
        What an observation is: the window of the context and the account row, or the row's number
        and the account row, which leaves the windows to be gathered from one shared table.

    Raises
    ------
    DataError
        If the market has more rows than an indexed observation can name, or the first row of
        episodes fewer before it than an observation shows.
    """

    def __init__(
        self, task: TradingTask, episodes: Episodes, n_envs: int, form: Form = "whole"
    ) -> None:
        task.require_window(episodes.first_row)
        self.task = task
        self.episodes = episodes
        self.form: Form = form
        if form == "indexed" and len(task.market.sessions) > _MOST_ROWS:
            msg = (
                f"the market has {len(task.market.sessions)} rows; indexed observations name at"
                f" most {_MOST_ROWS}: use whole ones"
            )
            raise DataError(msg)
        n_symbols = len(task.market.symbols)
        super().__init__(
            n_envs,
            observation_space(task, form),
            gym.spaces.Box(-1.0, 1.0, (n_symbols,), np.float32),
        )
        self.traded = TradedBooks(task, n_envs)
        self._starts = EpisodeStarts(episodes, n_envs)
        self._ends = np.zeros(n_envs, dtype=np.int64)
        self._is_ruined = np.zeros(n_envs, dtype=np.bool_)
        self._actions: NDArray[np.floating] = np.zeros((n_envs, n_symbols), dtype=np.float32)
        self._no_infos: list[dict[str, Any]] = [{} for _ in range(n_envs)]

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every environment; seeds given by `seed` are used once."""
        for index, seed in enumerate(self._seeds):
            if seed is not None:
                self._starts.seed(index, seed)
        self._reset_seeds()
        self._reset_options()
        self._start(np.arange(self.num_envs))
        return self._observe()

    def step_async(self, actions: NDArray[np.floating]) -> None:
        """Keep the actions, float32 (K, N) in [-1, 1], for `step_wait`."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Trade one bar; finished environments start a new episode at once."""
        traded = self.traded
        weights = self.task.view.target_weights(self._actions, traded.rows, traded.held)
        rewards = (traded.trade(weights) * self.episodes.reward_scale).astype(np.float32)
        is_done = np.empty(self.num_envs, dtype=np.bool_)
        n_done = traded.end(self._ends, self._is_ruined, is_done)
        infos = self._no_infos.copy()
        if n_done:
            finished = np.flatnonzero(is_done)
            last = self._observe(finished)
            for place, index in enumerate(finished.tolist()):
                infos[index] = {
                    "terminal_observation": last[place],
                    "TimeLimit.truncated": not self._is_ruined[index],
                }
            self._start(finished)
        return self._observe(), rewards, is_done, infos

    def get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return all that the next steps depend on, as arrays and JSON values."""
        starts, generators = self._starts.get_state()
        arrays = {"ends": self._ends.copy(), **starts, **self.traded.get_state()}
        values: dict[str, Any] = {"generators": generators}
        if isinstance(self.task.reward, ConstrainedReward):
            values["multiplier"] = self.task.reward.multiplier.get_state()
        return arrays, values

    def set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        """Go on from what `get_state` returned of an environment of the same task."""
        self._ends[:] = arrays["ends"]
        self.traded.set_state(arrays)
        self._starts.set_state(arrays, values["generators"])
        if isinstance(self.task.reward, ConstrainedReward):
            self.task.reward.multiplier.set_state(values["multiplier"])

    def _start(self, indices: NDArray[np.int64]) -> None:
        rows = self._starts.next_of(indices, self._ends)
        is_drawing = self.task.trackers or self.task.randomisation is not None
        drawing = [self._starts.generators[index] for index in indices] if is_drawing else None
        self.traded.open(indices, rows, drawing)

    def _observe(self, which: Which = ALL) -> NDArray[np.float32]:
        if self.form == "whole":
            return self.traded.observe(which)
        rows = self.traded.rows[which]
        out = np.empty((len(rows), 1 + self.task.n_account_inputs), dtype=np.float32)
        out[:, 0] = rows
        write_account_rows(self.task, self.traded.accounts(which), out, 1)
        return out

    def close(self) -> None:
        """Release nothing: the environments are arrays."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return the attribute once for each environment asked for; they share it."""
        if attr_name == "render_mode":
            return [None for _ in self._indices_of(indices)]
        return [getattr(self, attr_name) for _ in self._indices_of(indices)]

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Refuse: environments share one task."""
        raise NotImplementedError

    def env_method(
        self,
        method_name: str,
        *method_args: object,
        indices: VecEnvIndices = None,
        **method_kwargs: object,
    ) -> list[Any]:
        """Refuse: there are no single environments to call."""
        raise NotImplementedError

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each environment asked for."""
        return [False for _ in self._indices_of(indices)]

    def _indices_of(self, indices: VecEnvIndices) -> Sequence[int]:
        return list(self._get_indices(indices))


def observation_space(task: TradingTask, form: Form) -> gym.spaces.Box:
    """Return the space of a task's observations in one of their forms."""
    n_inputs = task.n_inputs if form == "whole" else 1 + task.n_account_inputs
    return gym.spaces.Box(-np.inf, np.inf, (n_inputs,), np.float32)
