import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from trading_assets.errors import DataError
from trading_assets.policy.rollout import build_task
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.single_env import MarketEnv
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets_tests.policy.tasks import make_strategy, make_tables
from trading_assets_tests.simulation.markets import random_market
from trading_assets_tests.simulation.trajectories import require_equal_trajectories

EPISODES = Episodes(first_row=1, last_row=80, length_bars=16, reward_scale=100.0)


def make_task(**changes):
    market = random_market(100)
    return build_task(market, *make_tables(market), make_strategy(**changes))


@pytest.mark.parametrize("position", ["long_only", "long_short"])
def test_one_environment_follows_a_row_of_the_vector_exactly(position):
    require_equal_trajectories(make_task(policy={"position": position}), EPISODES)


def test_the_end_of_an_episode_is_a_truncation_with_its_last_observation():
    vector = MarketVecEnv(make_task(), EPISODES, 2)
    vector.seed(0)
    vector.reset()
    actions = np.zeros((2, 3), dtype=np.float32)
    for _ in range(EPISODES.length_bars - 1):
        _, _, dones, infos = vector.step(actions)
        assert not dones.any()
        assert infos == [{}, {}]
    seen, _, dones, infos = vector.step(actions)
    assert dones.all()
    for k in range(2):
        assert infos[k]["TimeLimit.truncated"] is True
        # The book held positions; the next episode starts flat.
        assert (infos[k]["terminal_observation"] != seen[k]).any()
        held = seen[k][-4:-1]
        np.testing.assert_array_equal(held, np.zeros(3, dtype=np.float32))


def test_only_ruin_terminates():
    task = make_task(
        policy={"position": "long_short"}, risk={"max_weight": 400.0, "max_gross": 1000.0}
    )
    vector = MarketVecEnv(task, EPISODES, 64)
    vector.seed(0)
    vector.reset()
    rng = np.random.default_rng(0)
    ruined = 0
    for _ in range(15):
        _, rewards, dones, infos = vector.step(rng.uniform(-1, 1, (64, 3)).astype(np.float32))
        assert np.isfinite(rewards).all()
        for k in np.flatnonzero(dones):
            assert infos[k]["TimeLimit.truncated"] is False
            ruined += 1
    assert ruined > 0


def test_episodes_start_all_over_the_window():
    rng = np.random.default_rng(0)
    starts = {*EPISODES.draw_starts(rng, 2_000).tolist()}
    assert min(starts) == EPISODES.first_row
    assert max(starts) == EPISODES.last_row - EPISODES.length_bars


def test_a_window_shorter_than_an_episode_is_used_whole():
    short = Episodes(first_row=5, last_row=10, length_bars=16, reward_scale=1.0)
    env = MarketEnv(make_task(), short)
    env.reset(seed=0)
    steps, is_over = 0, False
    while not is_over:
        _, _, _, is_over, _ = env.step(np.zeros(3, dtype=np.float32))
        steps += 1
    assert steps == 5


def test_an_empty_window_is_refused():
    with pytest.raises(DataError, match="at least two rows"):
        Episodes(first_row=5, last_row=5, length_bars=16, reward_scale=1.0)


def test_the_reward_is_the_bars_net_return_less_the_variance_charge():
    task = make_task(policy={"position": "long_short", "risk_aversion": 4.0})
    env = MarketEnv(task, Episodes(10, 80, 16, reward_scale=1.0))
    env.reset(seed=3)
    row = int(env.traded.rows[0])
    before = env.traded.books()
    _, reward, _, _, _ = env.step(np.array([0.5, -0.2, 0.1], dtype=np.float32))
    after = env.traded.books()
    net = (after.cash + (after.quantity * after.price).sum() - before.cash) / before.cash
    weight = after.quantity[0] * task.market.open[row + 1] / before.cash[0]
    charge = 0.5 * 4.0 * weight @ task.covariance[row] @ weight
    assert reward == pytest.approx(float(net[0] - charge), rel=1e-6)


def test_actions_are_symmetric_and_observations_of_order_one():
    vector = MarketVecEnv(make_task(), EPISODES, 8)
    assert (vector.action_space.low == -1).all()
    assert (vector.action_space.high == 1).all()
    seen = vector.reset()
    assert seen.dtype == np.float32
    assert np.abs(seen).max() <= 5.0


@pytest.mark.filterwarnings("ignore:.*Box observation space.*")
def test_gymnasium_accepts_the_single_environment():
    check_env(MarketEnv(make_task(), EPISODES), skip_render_check=True)
