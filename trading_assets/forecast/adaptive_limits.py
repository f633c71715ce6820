"""Intervals and prediction sets of forecasts, session by session, by what came true before.

At a session's close every forecast whose label has ended teaches: its scores join the newest ones,
and its misses move the levels. Then the session's own forecasts get their limits. What is not known
by that close is never looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.conformal import interval, nonconformity
from trading_assets.forecast.conformal_memory import ConformalMemory, Forecast, keep_newest
from trading_assets.forecast.conformal_state import ConformalState, CoverageRule
from trading_assets.forecast.outcomes import Days, Outcomes, as_days, known_by, require_once
from trading_assets.forecast.prediction_sets import Sets, abstains, class_scores, prediction_sets
from trading_assets.forecast.predictions import Predictions
from trading_assets.forecast.scores import Array, Mask

_LARGEST_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """How far forecasts can be believed, row by row.

    Attributes
    ----------
    low, high : float64 (n,)
        Interval of the scaled return.
    sets : int8 (n,)
        Classes that are not ruled out, as bits: 1 down, 2 flat, 4 up.
    abstains : bool (n,)
        Whether that is any but one class.
    """

    low: Array
    high: Array
    sets: Sets
    abstains: Mask


def start(rule: CoverageRule, predictions: Predictions, outcomes: Outcomes) -> ConformalState:
    """Return the state that held-out rows give: their scores, and levels as promised.

    Parameters
    ----------
    rule : CoverageRule
        What is promised.
    predictions : Predictions
        n rows, by the model whose forecasts are to be limited.
    outcomes : Outcomes
        What came true of each of them, in their order.

    Returns
    -------
    ConformalState
        For closes from the one by which the last of the outcomes was known.

    Raises
    ------
    DataError
        If there are no rows, counts differ, or a prediction is no distribution.
    """
    if not len(outcomes):
        msg = "0 rows were given to start from; expected some: raise folds.validation_months"
        raise DataError(msg)
    require_predictions(outcomes.symbol, outcomes.session, predictions)
    order = np.lexsort((np.asarray(outcomes.symbol), outcomes.session))
    scores = nonconformity(outcomes.scaled_return, predictions.mean, predictions.deviation)
    of_classes = class_scores(predictions.probabilities)
    own = of_classes[np.arange(len(outcomes)), outcomes.classes]
    rows = int(np.unique(outcomes.session, return_counts=True)[1].max())
    last = max(_as_date(outcomes.session.max()), _as_date(outcomes.label_end.max()) - _ONE_DAY)
    return ConformalState(
        rule=rule,
        session=last,
        interval_alpha=1.0 - rule.interval_coverage,
        set_alpha=1.0 - rule.set_coverage,
        interval_scores=tuple(keep_newest(scores[order], rows).tolist()),
        set_scores=tuple(keep_newest(own[order], rows).tolist()),
        issued=(),
    )


def step(
    state: ConformalState,
    session: date,
    symbols: Sequence[str],
    predictions: Predictions,
    outcomes: Outcomes,
) -> tuple[ConformalState, Limits]:
    """Return the state after a session's close, and the limits of its forecasts.

    Parameters
    ----------
    state : ConformalState
        After an earlier session.
    session : date
        Session at whose close forecasts are made.
    symbols : sequence of str (n,)
        Symbols with a forecast, in any order; none still lets outcomes teach.
    predictions : Predictions
        n rows.
    outcomes : Outcomes
        What came true; of forecasts that nothing waits for, or by later closes, it is not used.

    Raises
    ------
    DataError
        If the session is not after the state's, a symbol is there twice, or a prediction is no
        distribution.
    """
    sessions = np.full(len(symbols), np.datetime64(session, "D"))
    closes = as_days(np.array([session], dtype="datetime64[D]"))
    return _pass(state, closes, (symbols, sessions, predictions), outcomes)


def run(
    state: ConformalState,
    sessions: Days,
    symbols: Sequence[str],
    predictions: Predictions,
    outcomes: Outcomes,
) -> tuple[ConformalState, Limits]:
    """Return the state after all sessions of some forecasts, and the limits of each.

    The same bytes as `step` for one session after the other, with any cut between them.

    Parameters
    ----------
    state : ConformalState
        After a session before all of them.
    sessions : datetime64[D] (n,)
        Session of each forecast; rows in any order.
    symbols : sequence of str (n,)
        Symbol of each.
    predictions : Predictions
        n rows.
    outcomes : Outcomes
        See `step`; each teaches at the first close by which it is known.

    Raises
    ------
    DataError
        As in `step`.
    """
    return _pass(state, np.unique(as_days(sessions)), (symbols, sessions, predictions), outcomes)


def _pass(
    state: ConformalState,
    closes: NDArray[np.int64],
    forecasts: tuple[Sequence[str], Days, Predictions],
    outcomes: Outcomes,
) -> tuple[ConformalState, Limits]:
    symbols, sessions, predictions = forecasts
    require_predictions(symbols, sessions, predictions)
    first = np.datetime64(int(closes[0]), "D") if len(closes) else None
    if first is not None and first <= np.datetime64(state.session, "D"):
        msg = (
            f"session {first} was to follow {state.session}; expected a later one: start from the"
            " state before it"
        )
        raise DataError(msg)
    days, named = as_days(sessions), np.asarray(symbols, dtype=np.str_)
    order = np.argsort(days, kind="stable")
    bounds = np.searchsorted(days[order], closes, side="right").tolist()
    columns = (predictions.mean, predictions.deviation, *predictions.probabilities.T)
    values: list[Forecast] = list(zip(*(c[order].tolist() for c in columns), strict=True))
    names: list[str] = named[order].tolist()
    memory = ConformalMemory(state)
    limits = np.empty((2, len(order)))
    before = 0
    for close, bound, known in zip(
        closes.tolist(), bounds, known_by(outcomes, closes), strict=True
    ):
        own = dict(zip(names[before:bound], values[before:bound], strict=True))
        limits[:, order[before:bound]] = np.array(memory.pass_close(close, known, own))[:, None]
        before = bound
    low, high = interval(predictions.mean, predictions.deviation, limits[0])
    sets = prediction_sets(predictions.probabilities, limits[1])
    return memory.state(), Limits(low, high, sets, abstains(sets))


def require_predictions(symbols: Sequence[str], sessions: Days, predictions: Predictions) -> None:
    """Refuse predictions that are not whole, or are not one for each symbol and session.

    Raises
    ------
    DataError
        As in `step`.
    """
    if not len(symbols) == len(sessions) == len(predictions):
        msg = (
            f"{len(predictions)} predictions had {len(symbols)} symbols and {len(sessions)}"
            " sessions; expected one of each a row"
        )
        raise DataError(msg)
    deviation, probabilities = predictions.deviation, predictions.probabilities
    is_whole = np.isfinite(predictions.mean) & np.isfinite(deviation) & (deviation > 0.0)
    is_whole &= (probabilities >= 0.0).all(axis=1) & (probabilities <= 1.0).all(axis=1)
    is_whole &= np.abs(probabilities.sum(axis=1) - 1.0) < _LARGEST_ROUNDING
    if not is_whole.all():
        row = int(np.flatnonzero(~is_whole)[0])
        msg = (
            f"the forecast of {symbols[row]} on {sessions[row]} had mean {predictions.mean[row]},"
            f" deviation {deviation[row]} and probabilities {probabilities[row].tolist()}; expected"
            " finite ones, a deviation above 0 and a sum of 1: train the forecaster again"
        )
        raise DataError(msg)
    require_once(symbols, sessions, "forecasts")


def _as_date(day: np.datetime64) -> date:
    return date.fromisoformat(str(day.astype("datetime64[D]")))


_ONE_DAY = timedelta(days=1)
