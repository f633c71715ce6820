import numpy as np
import pytest

from trading_assets.forecast.predictions import CandidateName
from trading_assets.forecast.selection import Selection, select_served

HORIZON = 3


def select(sessions: int = 200, *, noise: float = 0.02, seed: int = 0, **means: float) -> Selection:
    """Return the choice among candidates of such mean losses on five symbols' rows a session."""
    rng = np.random.default_rng(seed)
    common = 0.3 * rng.normal(size=5 * sessions)
    losses: dict[CandidateName, np.ndarray] = {}
    for name, mean in means.items():
        own = noise * rng.normal(size=5 * sessions)
        losses[name] = mean + common - common.mean() + own - own.mean()  # type: ignore[index]
    return select_served(losses, np.repeat(np.arange(sessions), 5), HORIZON, seed)


def test_the_network_serves_if_it_beats_logistic_beyond_chance_and_every_gate():
    found = select(network=1.05, logistic=1.09, boosting=1.08, prior=1.0986)
    assert found.served == "network"
    assert found.comparison is not None
    assert found.comparison.p_value < 0.05
    assert found.comparison.difference == pytest.approx(0.04)
    assert found.reason.startswith("the network with 1.0500 nats gains 0.0400 on logistic (0.03")
    assert found.reason.endswith("and no gate is better")


def test_a_gate_that_is_better_than_the_network_serves():
    found = select(network=1.05, logistic=1.09, boosting=1.04, prior=1.0986)
    assert found.served == "boosting"
    assert found.comparison is not None
    assert found.comparison.p_value < 0.05
    assert found.reason.endswith("but boosting with 1.0400 nats is the best gate")


def test_the_prior_may_be_the_best_gate():
    found = select(network=1.12, logistic=1.11, boosting=1.13, prior=1.0986)
    assert found.served == "prior"
    assert found.reason.endswith("not with p below 0.05; prior with 1.0986 nats is the best gate")


def test_a_gate_as_good_as_the_network_serves_instead():
    losses: dict[CandidateName, np.ndarray] = {
        "network": np.full(100, 1.0),
        "logistic": 1.1 + 0.01 * np.random.default_rng(0).normal(size=100),
        "boosting": np.full(100, 1.0),
    }
    found = select_served(losses, np.arange(100), HORIZON, 0)
    assert found.comparison is not None
    assert found.comparison.p_value < 0.05
    assert found.served == "boosting"


@pytest.mark.parametrize("seed", range(5))
def test_a_network_whose_gain_may_be_chance_does_not_serve(seed: int):
    # The mean of 200 sessions of five rows has a standard error of 0.02.
    found = select(network=1.085, logistic=1.09, boosting=1.095, noise=0.5, seed=seed)
    assert found.served == "logistic"
    assert found.comparison is not None
    assert found.comparison.p_value > 0.05
    assert found.reason.endswith(
        "not with p below 0.05; logistic with 1.0900 nats is the best gate"
    )
    assert f"p {found.comparison.p_value:.3f}), not" in found.reason


def test_a_network_that_loses_to_logistic_beyond_chance_does_not_serve():
    found = select(network=1.09, logistic=1.05)
    assert found.served == "logistic"
    assert found.comparison is not None
    assert found.comparison.p_value > 0.95


@pytest.mark.parametrize("sessions", [1, 9])
def test_of_too_few_sessions_the_network_never_serves(sessions: int):
    found = select(sessions, network=0.2, logistic=1.0, boosting=0.9)
    assert found.served == "boosting"
    assert found.comparison is not None
    assert np.isnan(found.comparison.p_value)
    assert found.reason == (
        f"the network with 0.2000 nats gains 0.8000 on logistic over {sessions} sessions, too few"
        " to tell from chance; boosting with 0.9000 nats is the best gate"
    )


def test_rows_of_one_session_are_not_proof():
    # As many rows as elsewhere, of nine sessions: what a session has in common counts once.
    losses: dict[CandidateName, np.ndarray] = {
        "network": np.full(1000, 1.0),
        "logistic": np.full(1000, 1.1),
    }
    found = select_served(losses, np.repeat(np.arange(10), 100) // 2, HORIZON, 0)
    assert found.served == "logistic"


def test_without_a_network_the_best_gate_serves():
    found = select(logistic=1.06, boosting=1.05, prior=1.0986)
    assert found == Selection("boosting", "boosting with 1.0500 nats is the best gate", None)


@pytest.mark.parametrize("name", ["network", "prior"])
def test_an_only_candidate_serves(name: str):
    found = select(**{name: 2.0})
    assert found == Selection(name, f"{name} was the only candidate asked for", None)


def test_the_same_seed_gives_the_same_choice():
    one, again, other = (
        select_served({"network": losses, "logistic": losses[::-1]}, np.arange(90), HORIZON, seed)
        for losses in [np.random.default_rng(3).normal(1.0, 0.2, 90)]
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one.comparison is not None
    assert other.comparison is not None
    assert one.comparison.low != other.comparison.low
