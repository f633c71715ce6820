from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.forecast.adaptive_limits import Limits, run, start, step
from trading_assets.forecast.calibration import class_probabilities
from trading_assets.forecast.conformal_state import ConformalState, CoverageRule
from trading_assets.forecast.outcomes import Outcomes
from trading_assets.forecast.prediction_sets import contains, set_sizes
from trading_assets.forecast.predictions import Predictions
from trading_assets_tests.forecast.broken_series import (
    FIRST_DAY,
    adaptive_misses,
    draw_series,
    frozen_misses,
    naive_predictions,
    window_coverage,
)

HORIZON = 3
SYMBOLS = ["AAA", "BB", "C"]
SESSIONS = 30
RULE = CoverageRule(
    horizon_bars=HORIZON, interval_coverage=0.9, set_coverage=0.8, adaptation_rate=0.05
)
COLUMNS = ("session", "scaled_return", "classes", "label_end")


def take(predictions: Predictions, rows) -> Predictions:
    names = ("probabilities", "mean", "noise", "error", "mutual_information")
    return Predictions(*(getattr(predictions, name)[rows] for name in names))


def pick(outcomes: Outcomes, rows) -> Outcomes:
    rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, np.int64)
    symbols = [outcomes.symbol[row] for row in rows]
    return Outcomes(symbols, *(getattr(outcomes, name)[rows] for name in COLUMNS))


def drawn(seed: int, sessions: int = SESSIONS, first: int = 60):
    """Return predictions with outcomes of a panel with gaps, some labels late, some never there."""
    rng = np.random.default_rng(seed)
    session, symbol = np.divmod(np.arange(sessions * len(SYMBOLS)), len(SYMBOLS))
    is_there = rng.random(len(session)) < 0.9
    session, symbol = session[is_there], symbol[is_there]
    rows = len(session)
    probabilities = class_probabilities(rng.normal(size=(rows, 3)))
    mean, deviation = 0.1 * rng.normal(size=rows), np.exp(0.2 * rng.normal(size=rows))
    predictions = Predictions(probabilities, mean, deviation, 0.1 * deviation, np.zeros(rows))
    outcomes = Outcomes(
        [SYMBOLS[place] for place in symbol],
        FIRST_DAY + first + session,
        mean + 1.2 * deviation * rng.standard_t(4, size=rows),
        rng.integers(0, 3, rows),
        FIRST_DAY + first + session + HORIZON + (rng.random(rows) < 0.1),
    )
    return predictions, outcomes, rng.random(rows) < 0.95


def begun(seed: int = 0) -> ConformalState:
    predictions, outcomes, _ = drawn(1000 + seed, 12, 0)
    return start(RULE, predictions, outcomes)


def day(number: int) -> date:
    return (FIRST_DAY + number).item()


def same(one: Limits, other: Limits) -> bool:
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in ("low", "high", "sets", "abstains")
    )


def stepped(state, predictions, outcomes, known, cuts=()):
    """Step through the sessions, with a round trip through JSON at cuts; see all outcomes."""
    limits: list[Limits] = []
    for session in np.unique(outcomes.session):
        rows = np.flatnonzero(outcomes.session == session)
        symbols = [outcomes.symbol[row] for row in rows]
        if session in cuts:
            state = ConformalState.from_json(state.to_json())
        state, own = step(state, session.item(), symbols, take(predictions, rows), known)
        limits.append(own)
    joined = [
        np.concatenate([getattr(own, name) for own in limits])
        for name in ("low", "high", "sets", "abstains")
    ]
    return state, Limits(*joined)


@given(st.integers(0, 10_000), st.sets(st.integers(0, SESSIONS - 1), max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_run_in_any_pieces_gives_the_bytes_of_one_run(seed, cuts):
    predictions, outcomes, is_told = drawn(seed)
    known = pick(outcomes, is_told)
    whole = run(begun(seed), outcomes.session, outcomes.symbol, predictions, known)
    state = begun(seed)
    pieces: list[Limits] = []
    for rows in np.split(
        np.arange(len(outcomes)),
        np.searchsorted(outcomes.session, [FIRST_DAY + 60 + cut for cut in sorted(cuts)]),
    ):
        names = [outcomes.symbol[row] for row in rows]
        own = take(predictions, rows)
        state, limits = run(state, outcomes.session[rows], names, own, known)
        state = ConformalState.from_json(state.to_json())
        pieces.append(limits)
    assert state.to_json() == whole[0].to_json()
    for name in ("low", "high", "sets", "abstains"):
        joined = np.concatenate([getattr(limits, name) for limits in pieces])
        assert joined.tobytes() == getattr(whole[1], name).tobytes()


@given(st.integers(0, 10_000), st.sets(st.integers(0, SESSIONS - 1), max_size=4))
@settings(max_examples=25, deadline=None)
def test_stepping_gives_the_bytes_of_one_run(seed, cuts):
    predictions, outcomes, is_told = drawn(seed)
    known = pick(outcomes, is_told)
    whole, limits = run(begun(seed), outcomes.session, outcomes.symbol, predictions, known)
    days = [FIRST_DAY + 60 + cut for cut in cuts]
    state, own = stepped(begun(seed), predictions, outcomes, known, days)
    assert state.to_json() == whole.to_json()
    assert same(own, limits)


@given(st.integers(0, 10_000), st.integers(1, SESSIONS - 1))
@settings(max_examples=40, deadline=None)
def test_what_is_known_later_changes_nothing(seed, cut):
    predictions, outcomes, _ = drawn(seed)
    close = FIRST_DAY + 60 + cut
    past = np.flatnonzero(outcomes.session <= close)
    names = [outcomes.symbol[row] for row in past]
    is_later = outcomes.label_end > close
    changed = replace(
        outcomes,
        scaled_return=np.where(is_later, 1e6, outcomes.scaled_return),
        classes=np.where(is_later, 2 - outcomes.classes, outcomes.classes),
    )
    found = [
        run(begun(seed), outcomes.session[past], names, take(predictions, past), known)
        for known in (outcomes, changed, pick(outcomes, ~is_later))
    ]
    for state, limits in found[1:]:
        assert state.to_json() == found[0][0].to_json()
        assert same(limits, found[0][1])


@given(st.integers(0, 10_000), st.randoms())
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_does_not_matter(seed, random):
    predictions, outcomes, _ = drawn(seed)
    state, limits = run(begun(seed), outcomes.session, outcomes.symbol, predictions, outcomes)
    before = start(RULE, predictions, outcomes)
    order = list(range(len(outcomes)))
    random.shuffle(order)
    shuffled = pick(outcomes, order)
    assert start(RULE, take(predictions, order), shuffled).to_json() == before.to_json()
    known = pick(shuffled, np.argsort(shuffled.scaled_return))
    again, other = run(
        begun(seed), shuffled.session, shuffled.symbol, take(predictions, order), known
    )
    assert again.to_json() == state.to_json()
    assert other.low.tobytes() == limits.low[order].tobytes()
    assert other.sets.tobytes() == limits.sets[order].tobytes()


def sure(rows: int, probabilities=(0.6, 0.3, 0.1)) -> Predictions:
    return replace(naive_predictions(rows), probabilities=np.tile(probabilities, (rows, 1)))


def told(session: int, returns: dict[str, float], label_end: int | None = None) -> Outcomes:
    """Return outcomes of a session by symbol; a return below 0 is class 0, else class 2."""
    values = np.array(list(returns.values()))
    ends = session + HORIZON if label_end is None else label_end
    return Outcomes(
        list(returns),
        np.full(len(values), FIRST_DAY + session),
        values,
        np.where(values < 0, 0, 2),
        np.full(len(values), FIRST_DAY + ends),
    )


NOTHING = told(0, {})


def four_symbols() -> ConformalState:
    """Return a state of quantile 2 and threshold 0.9 that has issued forecasts of 4 symbols."""
    state = begun().model_copy(
        update={"interval_scores": (2.0,), "set_scores": (0.9,), "session": day(0)}
    )
    return step(state, day(1), ["A", "B", "C", "D"], sure(4), NOTHING)[0]


def test_limits_are_the_quantile_of_scores_and_the_threshold_of_sets():
    state, limits = step(four_symbols(), day(2), ["A"], sure(1), NOTHING)
    assert (limits.low.tolist(), limits.high.tolist()) == ([-2.0], [2.0])
    assert limits.sets.tolist() == [3]
    assert limits.abstains.tolist() == [True]
    assert [issued.session for issued in state.issued] == [day(1), day(2)]


def test_an_outcome_teaches_at_the_close_by_which_it_is_known():
    known = told(1, {"A": 3.0, "B": -0.5, "C": -0.1, "D": -0.2})
    before, _ = step(four_symbols(), day(1 + HORIZON - 1), [], sure(0), known)
    assert before.interval_scores == (2.0,)
    assert before.interval_alpha == pytest.approx(0.1)
    after, _ = step(before, day(1 + HORIZON), [], sure(0), known)
    assert after.interval_scores == (2.0, 3.0, 0.5, 0.1, 0.2)
    # Of 4, one return lay outside and one class was not in its set.
    assert after.interval_alpha == pytest.approx(0.1 + 0.05 * (0.1 - 0.25))
    assert after.set_scores == pytest.approx((0.9, 1.0, 0.6, 0.6, 0.6))
    assert after.set_alpha == pytest.approx(0.2 + 0.05 * (0.2 - 0.25))
    assert after.issued[0].waiting == ()


def test_an_outcome_teaches_once():
    known = told(1, {"A": 3.0})
    once, _ = step(four_symbols(), day(4), [], sure(0), known)
    twice, _ = step(once, day(5), [], sure(0), known)
    assert twice.interval_scores == once.interval_scores == (2.0, 3.0)
    assert twice.interval_alpha == once.interval_alpha


def test_a_session_counts_once_though_its_labels_end_at_different_times():
    first = told(1, {"A": 3.0, "B": -0.5, "C": -0.1})
    late = told(1, {"D": 5.0}, label_end=6)
    state, _ = step(four_symbols(), day(4), [], sure(0), first)
    assert state.interval_alpha == pytest.approx(0.1 + 0.05 * (0.75 * 0.1 - 0.25))
    state, _ = step(state, day(6), [], sure(0), late)
    assert state.interval_alpha == pytest.approx(0.1 + 0.05 * (0.1 - 0.5))


def test_outcomes_that_nothing_waits_for_teach_nothing():
    state = four_symbols()
    for known in (told(1, {"E": 9.0}), told(0, {"A": 9.0})):
        after, _ = step(state, day(4), [], sure(0), known)
        assert after.interval_scores == state.interval_scores
        assert after.interval_alpha == state.interval_alpha


@pytest.mark.parametrize(("horizon", "sessions"), [(1, 20), (5, 20), (10, 40)])
def test_a_forecast_whose_outcome_never_comes_is_given_up(horizon: int, sessions: int):
    rule = RULE.model_copy(update={"horizon_bars": horizon})
    state = four_symbols().model_copy(update={"rule": rule})
    for number in range(2, sessions + 1):
        state, _ = step(state, day(number), ["A"], sure(1), NOTHING)
    assert len(state.issued) == sessions
    late = told(1, {"B": 3.0}, label_end=sessions + 1)
    in_time, _ = step(state, day(sessions + 1), ["A"], sure(1), late)
    assert in_time.interval_scores[-1] == 3.0
    state, _ = step(state, day(sessions + 1), ["A"], sure(1), NOTHING)
    # What it was issued with is still known, for policies that are shown a window.
    assert (state.issued[0].session, state.issued[0].waiting) == (day(1), ())
    assert state.issued[1].waiting
    too_late, _ = step(state, day(sessions + 2), ["A"], sure(1), late)
    assert too_late.interval_scores == state.interval_scores


@pytest.mark.parametrize(("symbols", "kept"), [(1, 500), (30, 600)])
def test_the_newest_scores_are_kept(symbols: int, kept: int):
    sessions = 700 // symbols
    names = [f"S{number:02d}" for number in range(symbols)] * sessions
    session = FIRST_DAY + np.repeat(np.arange(sessions), symbols)
    returns = np.arange(len(names)) / 100.0
    outcomes = Outcomes(names, session, returns, np.zeros(len(names), np.int64), session + 2)
    state = start(RULE, naive_predictions(len(names)), outcomes)
    assert state.interval_scores == tuple(returns[-kept:])
    assert len(state.set_scores) == kept
    state, _ = step(state, day(sessions + 1), names[:symbols], sure(symbols), NOTHING)
    new = told(sessions + 1, dict.fromkeys(names[:symbols], 9.0))
    state, _ = step(state, day(sessions + 4), names[:symbols], sure(symbols), new)
    assert len(state.interval_scores) == kept
    assert state.interval_scores[-symbols:] == (9.0,) * symbols
    assert state.interval_scores[0] == returns[-kept + symbols]


def test_a_state_starts_at_the_close_by_which_its_outcomes_were_known():
    outcomes = told(7, {"A": 1.0, "B": -2.0})
    state = start(RULE, sure(2), outcomes)
    assert state.session == day(7 + HORIZON - 1)
    assert (state.interval_scores, state.set_scores) == ((1.0, 2.0), (1.0, 0.6))
    assert (state.interval_alpha, state.set_alpha) == pytest.approx((0.1, 0.2))
    step(state, day(7 + HORIZON), ["A"], sure(1), NOTHING)
    with pytest.raises(DataError, match=f"session {day(9)} was to follow {day(9)}"):
        step(state, day(9), ["A"], sure(1), NOTHING)


def test_no_forecasts_leave_the_state_as_it_is():
    state, limits = run(four_symbols(), told(5, {}).session, [], sure(0), NOTHING)
    assert state == four_symbols()
    assert len(limits.low) == 0


def test_forecasts_that_are_no_distribution_are_refused():
    state = four_symbols()
    for broken in (
        sure(1, (0.5, 0.5, 0.5)),
        sure(1, (-0.1, 0.6, 0.5)),
        replace(sure(1), mean=np.array([np.nan])),
        replace(sure(1), noise=np.zeros(1)),
        replace(sure(1), noise=np.array([np.inf])),
    ):
        with pytest.raises(DataError, match=f"the forecast of A on {day(2)} had mean"):
            step(state, day(2), ["A"], broken, NOTHING)
    with pytest.raises(DataError, match=f"forecasts held A on {day(2)} twice"):
        step(state, day(2), ["A", "A"], sure(2), NOTHING)
    with pytest.raises(DataError, match="2 predictions had 1 symbols"):
        step(state, day(2), ["A"], sure(2), NOTHING)
    with pytest.raises(DataError, match="0 rows were given to start from"):
        start(RULE, sure(0), NOTHING)


def test_outcomes_that_are_none_are_refused():
    with pytest.raises(DataError, match=r"the outcome of A .* was nan"):
        told(1, {"A": np.nan})
    with pytest.raises(DataError, match="a later end"):
        told(4, {"A": 1.0}, label_end=4)
    with pytest.raises(DataError, match="class 3"):
        replace(told(1, {"A": 1.0}), classes=np.array([3]))
    with pytest.raises(DataError, match="as many in each"):
        replace(told(1, {"A": 1.0}), classes=np.array([1, 2]))
    with pytest.raises(DataError, match=f"outcomes held A on {day(1)} twice"):
        replace(
            told(1, {"A": 1.0, "B": 1.0}),
            symbol=["A", "A"],
        )


# Of one symbol whose labels overlap over 5 bars, an interval that knows the variance of each bar
# keeps 85 % in all windows of 2 series in 3 only.
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("symbols", "horizon", "least"), [(1, 1, 0.85), (1, 5, 0.85), (5, 1, 0.85), (5, 5, 0.85)]
)
def test_coverage_comes_back_after_the_variance_doubles(symbols, horizon, least, seed):
    series = draw_series(seed, 5000 // symbols, horizon, symbols=symbols)
    misses = adaptive_misses(series)
    assert 1.0 - misses.mean() == pytest.approx(0.9, abs=0.015)
    assert window_coverage(misses).min() >= least
    assert 0.65 <= 1.0 - frozen_misses(series)[len(misses) // 2 :].mean() <= 0.83


def test_sets_hold_the_class_as_often_as_promised_though_forecasts_are_too_sure():
    rng = np.random.default_rng(6)
    sessions = 3000
    honest = class_probabilities(1.5 * rng.normal(size=(sessions, 3)))
    classes = (rng.random((sessions, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    # From half-way on, the forecasts say twice what they know.
    sharpness = np.where(np.arange(sessions) < sessions // 2, 1.0, 2.0)[:, None]
    said = class_probabilities(sharpness * np.log(honest))
    session = FIRST_DAY + np.arange(sessions)
    outcomes = Outcomes(["A"] * sessions, session, np.zeros(sessions), classes, session + HORIZON)
    predictions = replace(naive_predictions(sessions), probabilities=said)
    before = slice(0, 300)
    state = start(RULE, take(predictions, before), pick(outcomes, np.arange(300)))
    later = np.arange(300 + HORIZON, sessions)
    own = pick(outcomes, later)
    _, limits = run(state, own.session, own.symbol, take(predictions, later), own)
    held = contains(limits.sets, own.classes)
    assert held.mean() == pytest.approx(0.8, abs=0.01)
    assert held[-1400:].mean() == pytest.approx(0.8, abs=0.015)
    assert 1.0 < set_sizes(limits.sets).mean() < 2.5
    assert np.array_equal(limits.abstains, set_sizes(limits.sets) != 1)
