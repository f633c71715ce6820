import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.errors import DataError, DeclarationError
from trading_assets.reward_specs import OBSERVABLE_TRACKERS
from trading_assets.simulation.trackers.card import TrackerCard, card_of
from trading_assets.simulation.trackers.drawdown import Drawdown
from trading_assets.simulation.trackers.preference import Preference
from trading_assets.simulation.trackers.registry import (
    register_tracker,
    tracker_of,
    tracker_of_card,
)
from trading_assets.simulation.trackers.remembered import (
    remember_bar,
    remember_nothing,
    show_remembered,
)
from trading_assets.simulation.trackers.tracker import Memory
from trading_assets_tests.simulation.trackers.histories import TRACKERS, follow, random_history

EACH = pytest.mark.parametrize("tracker", TRACKERS, ids=lambda tracker: tracker.name)
CARDS = tuple(card_of(tracker) for tracker in TRACKERS)

histories = st.lists(st.tuples(st.floats(-2.0, 2.0), st.floats(0.0, 5.0)), min_size=1, max_size=40)


@EACH
def test_an_account_is_followed_alike_alone_and_among_others(tracker):
    returns, traded = random_history(50, 37)
    together = follow(tracker, returns, traded)
    shown = np.stack([tracker.show(state) for state in together])
    for account in (0, 1, 17, 36):
        one = slice(account, account + 1)
        alone = follow(tracker, returns[:, one], traded[:, one])
        np.testing.assert_array_equal(alone, together[:, one])
        alone_shown = np.stack([tracker.show(state) for state in alone])
        np.testing.assert_array_equal(alone_shown, shown[:, one])


@EACH
def test_states_before_a_bar_stay_as_they_were(tracker):
    returns, traded = random_history(12, 4)
    state = follow(tracker, returns, traded)[-1]
    kept = state.copy()
    tracker.advance(state, returns[0], traded[0])
    tracker.show(state)
    np.testing.assert_array_equal(state, kept)


@EACH
@given(history=histories)
def test_every_history_shows_numbers_within_the_range_of_inputs(tracker, history):
    returns, traded = np.array(history).T
    states = follow(tracker, returns[:, None], traded[:, None])
    shown = np.stack([tracker.show(state) for state in states])
    assert shown.shape == (len(history) + 1, 1, len(tracker.inputs))
    assert np.isfinite(states).all()
    assert (np.abs(shown) <= 5.0).all()


@EACH
def test_inputs_of_an_ordinary_account_are_of_order_one(tracker):
    returns, traded = random_history(400, 50, deviation=0.01)
    states = follow(tracker, returns, traded)[50:]
    shown = np.stack([tracker.show(state) for state in states])
    size = np.sqrt((shown**2).mean(axis=(0, 1)))
    assert (size > 0.03).all()
    assert (size < 4.0).all()


@EACH
def test_a_tracker_survives_its_card(tracker):
    card = TrackerCard.from_card(json.loads(json.dumps(asdict(card_of(tracker)))))
    assert card == card_of(tracker)
    assert tracker_of_card(card) == tracker


def test_all_observable_trackers_have_defaults_and_those_of_rewards_have_none():
    for name in OBSERVABLE_TRACKERS:
        assert tracker_of(name).name == name
    others = {tracker.name for tracker in TRACKERS} - {*OBSERVABLE_TRACKERS}
    assert others == {"preference", "objective_means"}
    for name in others:
        with pytest.raises(DeclarationError, match=f"'{name}' is not known"):
            tracker_of(name)


def test_an_unknown_tracker_is_refused_with_the_name_that_was_meant():
    with pytest.raises(DeclarationError, match=r"'drawdow' is not known; did you mean 'drawdown'"):
        tracker_of("drawdow")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "fame"}, r"'fame', which is not known.*policy\.modules"),
        ({"parameters": (("speed", 3.0),)}, "has other parameters now.*train again"),
        ({"inputs": ("depth",)}, "expected the same: train again"),
    ],
)
def test_a_card_of_another_tracker_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        tracker_of_card(replace(card_of(Drawdown()), **change))


def test_trackers_of_ones_own_are_registered_by_name():
    @register_tracker("own_peak")
    class Peak(Drawdown):
        @property
        def name(self):
            return "own_peak"

    assert isinstance(tracker_of("own_peak"), Peak)
    assert isinstance(tracker_of_card(card_of(Peak())), Peak)
    with pytest.raises(DeclarationError, match="one of this package"):
        register_tracker("drawdown")
    register_tracker("misnamed")(Drawdown)
    with pytest.raises(DeclarationError, match="misnamed calls itself 'drawdown'"):
        tracker_of("misnamed")
    register_tracker("demanding")(Preference)
    with pytest.raises(DeclarationError, match="demanding cannot be made"):
        tracker_of("demanding")


def test_a_memory_draws_for_accounts_with_a_generator_and_only_for_them():
    tracker = Preference(("return", "variance"), (0.7, 0.3))
    memory = Memory([tracker, Drawdown()], 3)
    memory.advance(np.full(3, -0.1), np.zeros(3))
    memory.start(np.array([2, 0]), [np.random.default_rng(8), np.random.default_rng(9)])
    expected = [tracker.start(np.random.default_rng(seed)) for seed in (9, 8)]
    preference = memory.states["preference"]
    np.testing.assert_array_equal(preference[[0, 2]], expected)
    np.testing.assert_array_equal(preference[1], [0.7, 0.3])
    np.testing.assert_allclose(memory.states["drawdown"][:, 0], [0.0, 0.1, 0.0])
    memory.start(slice(None))
    np.testing.assert_array_equal(memory.states["preference"], [[0.7, 0.3]] * 3)


def test_what_a_session_records_is_what_an_episode_remembers():
    returns, traded = random_history(30, 1)
    memory = Memory(TRACKERS, 1)
    remembered = remember_nothing(CARDS)
    for net_return, share in zip(returns, traded, strict=True):
        np.testing.assert_array_equal(show_remembered(CARDS, remembered), memory.show())
        memory.advance(net_return, share)
        stored = json.loads(json.dumps(remembered))
        remembered = remember_bar(CARDS, stored, float(net_return[0]), float(share[0]))
    np.testing.assert_array_equal(show_remembered(CARDS, remembered), memory.show())
    assert show_remembered((), None).shape == (1, 0)


@pytest.mark.parametrize(
    ("remembered", "message"),
    [
        (None, "observes drawdown of its account and nothing is remembered"),
        ({}, r"\[\] is remembered of drawdown; expected 1 finite"),
        ({"drawdown": [0.1, 0.2]}, r"\[0\.1, 0\.2\] is remembered of drawdown"),
        ({"drawdown": [float("nan")]}, r"\[nan\] is remembered of drawdown"),
    ],
)
def test_a_memory_that_does_not_fit_is_refused(remembered, message):
    with pytest.raises(DataError, match=message):
        show_remembered((card_of(Drawdown()),), remembered)


def test_a_bar_without_a_return_is_not_remembered():
    with pytest.raises(DataError, match="settle the session first"):
        remember_bar(CARDS, remember_nothing(CARDS), float("nan"), 0.0)
