import numpy as np
import pytest

from trading_assets.forecast.card import CandidateCard
from trading_assets.forecast.dataset import Rows
from trading_assets.forecast.judging import judge_candidates, measure_candidate
from trading_assets.forecast.networks.strip_rows import LabelledRows
from trading_assets.forecast.predictions import CandidateName, Predictions
from trading_assets.forecast.scores import expected_calibration_error

SESSIONS, SYMBOLS, HORIZON = 120, 4, 3
COUNT = SESSIONS * SYMBOLS


def label(classes: np.ndarray, returns: np.ndarray) -> LabelledRows:
    session, symbol = np.divmod(np.arange(len(classes)), SYMBOLS)
    return LabelledRows(Rows(symbol, session), classes, returns, np.ones(len(classes)))


def say(probabilities: np.ndarray, mean: np.ndarray | None = None) -> Predictions:
    count = len(probabilities)
    return Predictions(
        probabilities=probabilities,
        mean=np.zeros(count) if mean is None else mean,
        noise=np.ones(count),
        error=np.full(count, 0.1),
        mutual_information=np.zeros(count),
    )


def draw(sharpness: float, seed: int = 0) -> tuple[np.ndarray, LabelledRows]:
    """Return honest probabilities (n, 3) and what came of them."""
    rng = np.random.default_rng(seed)
    weights = np.exp(sharpness * rng.normal(size=(COUNT, 3)))
    honest = weights / weights.sum(axis=1, keepdims=True)
    classes = (rng.random((COUNT, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    return honest, label(classes, rng.normal(size=COUNT) + classes - 1.0)


def sharpen(probabilities: np.ndarray, power: float) -> np.ndarray:
    raised = probabilities**power
    return raised / raised.sum(axis=1, keepdims=True)


def nats(probabilities: np.ndarray, classes: np.ndarray) -> float:
    return -float(np.mean([np.log(row[k]) for row, k in zip(probabilities, classes, strict=True)]))


def test_figures_are_those_of_the_tempered_probabilities():
    honest, judging = draw(1.0)
    said = sharpen(honest, 4.0)
    card = measure_candidate(say(said), judging, HORIZON)
    assert card.uncalibrated_log_loss == pytest.approx(nats(said, judging.classes))
    assert card.uncalibrated_log_loss > card.log_loss + 0.3
    # Probabilities to the fourth power are undone by a temperature of 4.
    assert card.temperature == pytest.approx(4.0, rel=0.15)
    tempered = sharpen(said, 1.0 / card.temperature)
    assert card.log_loss == pytest.approx(nats(tempered, judging.classes))
    hit = np.eye(3)[judging.classes]
    assert card.brier == pytest.approx(((tempered - hit) ** 2).sum(axis=1).mean())
    right = tempered.argmax(axis=1) == judging.classes
    assert card.accuracy == pytest.approx(right.mean())
    error = expected_calibration_error(tempered, judging.classes)
    assert card.calibration_error == pytest.approx(error)
    assert card.calibration_error < 0.1 < expected_calibration_error(said, judging.classes)


def test_no_other_temperature_has_a_lower_log_loss():
    honest, judging = draw(0.7, seed=3)
    card = measure_candidate(say(honest), judging, HORIZON)
    for factor in (0.9, 0.98, 1.02, 1.1):
        other = sharpen(honest, 1.0 / (factor * card.temperature))
        assert nats(other, judging.classes) > card.log_loss


def test_an_accuracy_is_as_sure_as_rows_over_the_horizon_are_many():
    honest, judging = draw(1.0)
    card, long = (measure_candidate(say(honest), judging, horizon) for horizon in (1, 16))
    assert card.accuracy_interval[0] < card.accuracy < card.accuracy_interval[1]
    width, wider = (each.accuracy_interval[1] - each.accuracy_interval[0] for each in (card, long))
    assert wider == pytest.approx(4.0 * width, rel=0.1)


def test_certainty_that_is_wrong_costs_much_but_no_infinity():
    _, judging = draw(1.0)
    wrong = np.eye(3)[(judging.classes + 1) % 3]
    card = measure_candidate(say(wrong), judging, HORIZON)
    assert card.uncalibrated_log_loss == pytest.approx(-np.log(1e-12))
    assert card.log_loss < 2.0
    assert card.accuracy == 0.0


def test_skill_is_that_of_the_mean_and_unknown_where_it_does_not_vary():
    honest, judging = draw(1.0)
    constant = measure_candidate(say(honest), judging, HORIZON)
    assert (constant.ic, constant.ic_t, constant.rank_ic, constant.rank_ic_t) == (None,) * 4
    known = measure_candidate(say(honest, judging.scaled_returns), judging, HORIZON)
    assert known.ic == pytest.approx(1.0)
    assert known.rank_ic == pytest.approx(1.0)
    noisy = judging.scaled_returns + np.random.default_rng(1).normal(0, 2.0, COUNT)
    partly = measure_candidate(say(honest, -noisy), judging, HORIZON)
    assert partly.ic is not None
    assert partly.ic_t is not None
    assert -0.8 < partly.ic < -0.2
    assert partly.ic_t < -5.0


def test_the_candidate_that_serves_is_chosen_by_tempered_losses_and_comes_back_tempered():
    honest, judging = draw(1.0)
    shares = np.tile(np.bincount(judging.classes) / COUNT, (COUNT, 1))
    vague = sharpen(honest, 0.5)
    mixed = 0.4 * honest + 0.6 * sharpen(draw(1.0, seed=9)[0], 1.0)
    said: dict[CandidateName, Predictions] = {
        # Untempered, the sharpened network is worse than a prior.
        "network": say(sharpen(honest, 4.0)),
        "logistic": say(mixed),
        "boosting": say(mixed),
        "prior": say(shares),
    }
    judged = judge_candidates(said, judging, HORIZON, 0)
    cards = judged.cards
    assert cards["network"].uncalibrated_log_loss > cards["prior"].log_loss
    assert judged.selection.served == "network"
    assert set(cards) == set(said)
    assert cards["network"] == measure_candidate(said["network"], judging, HORIZON)
    expected = sharpen(said["network"].probabilities, 1.0 / cards["network"].temperature)
    np.testing.assert_allclose(judged.served.probabilities, expected, atol=1e-6)
    assert judged.served.mean is said["network"].mean
    assert judged.comparison is not None
    gain = cards["logistic"].log_loss - cards["network"].log_loss
    assert judged.comparison.difference == pytest.approx(gain)
    assert judged.comparison.low is not None
    assert 0.0 < judged.comparison.low < gain
    assert judged.comparison.sessions == SESSIONS
    # Whoever serves is told in the card by the figures of its own.
    gates = judge_candidates({"logistic": say(vague), "prior": said["prior"]}, judging, HORIZON, 0)
    assert gates.selection.served == "logistic"
    assert gates.comparison is None
    np.testing.assert_allclose(gates.served.probabilities, sharpen(honest, 1.0), atol=0.05)


def test_a_comparison_of_few_sessions_is_stored_without_an_interval():
    honest, judging = draw(1.0)
    few = 8 * SYMBOLS
    rows = Rows(judging.rows.symbol[:few], judging.rows.session[:few])
    part = LabelledRows(
        rows, judging.classes[:few], judging.scaled_returns[:few], judging.weights[:few]
    )
    said: dict[CandidateName, Predictions] = {
        "network": say(honest[:few]),
        "logistic": say(np.full((few, 3), 1 / 3)),
    }
    found = judge_candidates(said, part, HORIZON, 0).comparison
    assert found is not None
    assert (found.low, found.high, found.p_value) == (None, None, None)
    assert found.sessions == 8


def test_a_card_of_figures_holds_no_nan():
    honest, judging = draw(1.0)
    card = measure_candidate(say(honest), judging, HORIZON)
    assert CandidateCard.model_validate_json(card.model_dump_json()) == card
