"""Both forms of the environment, side by side."""

import numpy as np

from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.single_env import MarketEnv
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.vector_env import MarketVecEnv


def require_equal_trajectories(
    task: TradingTask, episodes: Episodes, n_envs: int = 3, seed: int = 40, n_steps: int = 50
) -> int:
    """Step single environments and the vector with the same actions and seeds, bit for bit.

    Returns
    -------
    int
        Rewards that were not 0.
    """
    vector = MarketVecEnv(task, episodes, n_envs)
    vector.seed(seed)
    together = vector.reset()
    singles = [MarketEnv(task, episodes) for _ in range(n_envs)]
    alone = [env.reset(seed=seed + k)[0] for k, env in enumerate(singles)]
    np.testing.assert_array_equal(together, np.stack(alone))
    rng = np.random.default_rng(1)
    n_paid = 0
    for _ in range(n_steps):
        actions = rng.uniform(-1, 1, (n_envs, len(task.market.symbols))).astype(np.float32)
        together, rewards, dones, infos = vector.step(actions)
        n_paid += np.count_nonzero(rewards)
        for k, env in enumerate(singles):
            seen, reward, is_terminated, is_truncated, _ = env.step(actions[k])
            assert reward == rewards[k]
            assert dones[k] == (is_terminated or is_truncated)
            if dones[k]:
                np.testing.assert_array_equal(infos[k]["terminal_observation"], seen)
                seen, _ = env.reset()
            np.testing.assert_array_equal(together[k], seen)
    return n_paid
