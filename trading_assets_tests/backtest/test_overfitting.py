"""The probability of backtest overfitting, held against worlds where it is known."""

import math
from itertools import combinations

import numpy as np
import pytest

from trading_assets.backtest.metrics import sharpe_per_bar
from trading_assets.backtest.overfitting import measure_overfitting
from trading_assets.errors import DataError

BARS_PER_YEAR = 252


def draw_null(seed: int, trials: int = 20, bars: int = 1260) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_normal((bars, trials))


def test_worthless_trials_are_chosen_by_luck():
    found = [measure_overfitting(draw_null(seed)).probability for seed in range(100)]
    # Measured over 200 panels of 20 trials: mean .51, standard deviation .19.
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)
    assert np.std(found) == pytest.approx(0.19, abs=0.06)


def test_one_true_strategy_is_found_again():
    found: list[float] = []
    for seed in range(60):
        returns = draw_null(seed)
        returns[:, 7] += 0.01 * 2.0 / math.sqrt(BARS_PER_YEAR)
        found.append(measure_overfitting(returns).probability)
    assert np.mean(found) < 0.09
    assert np.quantile(found, 0.95) < 0.25


def test_every_halving_is_what_the_definition_says():
    returns = draw_null(3, trials=5, bars=63)
    found = measure_overfitting(returns, blocks=4)
    parts = np.array_split(np.arange(63), 4)
    halvings = list(combinations(range(4), 2))
    assert len(found.logits) == len(halvings) == 6
    for place, chosen in enumerate(halvings):
        earlier = np.concatenate([parts[block] for block in chosen])
        later = np.concatenate([parts[block] for block in range(4) if block not in chosen])
        first = np.array([sharpe_per_bar(returns[earlier, n]) for n in range(5)])
        second = np.array([sharpe_per_bar(returns[later, n]) for n in range(5)])
        best = int(first.argmax())
        rank = int((second <= second[best]).sum())
        relative = rank / 6.0
        assert found.chosen_sharpe[place] == pytest.approx(first[best], rel=1e-9)
        assert found.later_sharpe[place] == pytest.approx(second[best], rel=1e-9)
        assert found.logits[place] == pytest.approx(math.log(relative / (1.0 - relative)))
    assert found.probability == pytest.approx((found.logits <= 0.0).mean())
    assert found.probability_of_loss == pytest.approx((found.later_sharpe < 0.0).mean())


def test_order_and_scale_of_trials_change_nothing():
    returns = draw_null(5)
    found = measure_overfitting(returns)
    again = measure_overfitting(3.0 * returns[:, ::-1])
    np.testing.assert_allclose(again.logits, found.logits)
    assert again.degradation == pytest.approx(found.degradation)


def test_what_is_chosen_by_luck_does_worse_the_better_it_looked():
    slopes = [measure_overfitting(draw_null(seed)).degradation for seed in range(40)]
    assert np.mean(slopes) < -0.5


def test_copies_of_one_trial_stand_at_the_median():
    returns = np.repeat(draw_null(1, trials=1), 4, axis=1)
    assert measure_overfitting(returns).logits == pytest.approx(0.0)


def test_a_trial_that_never_trades_is_worth_nothing():
    returns = draw_null(2, trials=3) - 0.01
    returns[:, 1] = 0.0
    found = measure_overfitting(returns)
    assert (found.chosen_sharpe == 0.0).all()
    assert found.probability == 0.0


@pytest.mark.parametrize(
    ("shape", "blocks", "sentence"),
    [
        ((100, 1), 10, "1 trial was given; expected at least 2"),
        ((100, 4), 5, "blocks was 5; expected an even number"),
        ((100, 4), 0, "blocks was 0; expected an even number"),
        ((19, 4), 10, "19 bars were given; expected at least 20"),
    ],
)
def test_what_cannot_be_halved_is_refused(shape: tuple[int, int], blocks: int, sentence: str):
    with pytest.raises(DataError, match=sentence):
        measure_overfitting(np.zeros(shape), blocks)


def test_a_hole_in_a_trial_is_refused():
    returns = draw_null(0)
    returns[4, 3] = math.nan
    with pytest.raises(DataError, match="1 of 20 trials have returns that are not finite"):
        measure_overfitting(returns)
