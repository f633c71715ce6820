"""A conformal state while sessions go by: it learns what came true and says the next limits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from trading_assets.forecast.conformal import adapt, conformal_quantile, nonconformity
from trading_assets.forecast.conformal_state import (
    ConformalState,
    IssuedSession,
    WaitingForecast,
)
from trading_assets.forecast.outcomes import Outcome
from trading_assets.forecast.prediction_sets import class_scores, contains, prediction_sets
from trading_assets.forecast.scores import Array, Mask

# Mean, deviation and the probabilities of down, flat and up.
Forecast = tuple[float, float, float, float, float]

# Fewer give a rough quantile, more are slow to forget what was before a break.
LEAST_SCORES = 500
LEAST_SCORE_SESSIONS = 20
# Forecasts without an outcome are given up after so many horizons, and as many sessions at least:
# the symbol is gone.
HORIZONS_TO_WAIT = 4
LEAST_SESSIONS_TO_WAIT = 20
# Policies are shown windows of at most so many sessions, each with the limits it was issued with.
MOST_SHOWN_SESSIONS = 252

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class _Issued:
    quantile: float
    threshold: float
    rows: int
    waiting: dict[str, Forecast]


class ConformalMemory:
    """A state that is moved from close to close."""

    def __init__(self, state: ConformalState) -> None:
        self._rule = state.rule
        self._interval_alpha, self._set_alpha = state.interval_alpha, state.set_alpha
        self._interval_scores = np.array(state.interval_scores)
        self._set_scores = np.array(state.set_scores)
        self._issued = {_day(issued.session): _unpack(issued) for issued in state.issued}
        self._session = _day(state.session)

    def pass_close(
        self, session: int, known: Sequence[Outcome], forecasts: Mapping[str, Forecast]
    ) -> tuple[float, float]:
        """Learn what is known by a session's close, and return its forecasts' limits.

        Parameters
        ----------
        session : int
            Days since 1970-01-01, later than every session before.
        known : sequence of Outcome
            As `known_by` yields them; what nothing waits for is passed over.
        forecasts : mapping of str to Forecast
            Of the session, by symbol.

        Returns
        -------
        quantile, threshold : float
            Of its intervals and of its prediction sets.
        """
        self._learn(known)
        issued = _Issued(0.0, 0.0, len(forecasts), dict(forecasts))
        self._issued[session] = issued
        self._session = session
        self._forget()
        issued.quantile = conformal_quantile(self._interval_scores, self._interval_alpha)
        issued.threshold = conformal_quantile(self._set_scores, self._set_alpha)
        return issued.quantile, issued.threshold

    def state(self) -> ConformalState:
        """Return the state after the last close."""
        return ConformalState(
            rule=self._rule,
            session=_date(self._session),
            interval_alpha=self._interval_alpha,
            set_alpha=self._set_alpha,
            interval_scores=tuple(self._interval_scores.tolist()),
            set_scores=tuple(self._set_scores.tolist()),
            issued=tuple(_pack(day, issued) for day, issued in self._issued.items()),
        )

    def values(self) -> dict[str, Any]:
        """Return the JSON values of `state`, as `model_dump` gives them, at a tenth of its time."""
        return {
            "kind": "conformal_state",
            "rule": self._rule.model_dump(mode="json"),
            "session": _date(self._session).isoformat(),
            "interval_alpha": self._interval_alpha,
            "set_alpha": self._set_alpha,
            "interval_scores": self._interval_scores.tolist(),
            "set_scores": self._set_scores.tolist(),
            "issued": [_values(day, issued) for day, issued in self._issued.items()],
        }

    def is_waited_for(self, outcome: Outcome) -> bool:
        """Return whether a forecast waits for an outcome."""
        symbol, day, *_ = outcome
        issued = self._issued.get(day)
        return issued is not None and symbol in issued.waiting

    def _learn(self, known: Sequence[Outcome]) -> None:
        days: list[int] = []
        rows: list[tuple[float, ...]] = []
        for symbol, day, scaled_return, came_true in known:
            issued = self._issued.get(day)
            forecast = None if issued is None else issued.waiting.pop(symbol, None)
            if issued is not None and forecast is not None:
                days.append(day)
                limits = (issued.quantile, issued.threshold)
                rows.append((*forecast, scaled_return, came_true, *limits))
        if not rows:
            return
        table = np.array(rows)
        mean, deviation, probabilities = table[:, 0], table[:, 1], table[:, 2:5]
        classes = table[:, 6].astype(np.int64)
        scores = nonconformity(table[:, 5], mean, deviation)
        sets = prediction_sets(probabilities, table[:, 8])
        self._move(days, scores > table[:, 7], ~contains(sets, classes))
        own = class_scores(probabilities)[np.arange(len(classes)), classes]
        self._interval_scores = np.concatenate((self._interval_scores, scores))
        self._set_scores = np.concatenate((self._set_scores, own))

    def _move(self, days: list[int], beyond: Mask, ruled_out: Mask) -> None:
        """Move the levels by misses (k,) of forecasts of some days."""
        rule = self._rule
        known = Counter(days)
        beyond_days = Counter(day for day, missed in zip(days, beyond, strict=True) if missed)
        ruled_days = Counter(day for day, missed in zip(days, ruled_out, strict=True) if missed)
        for day, count in known.items():
            rows = self._issued[day].rows
            share = count / rows
            self._interval_alpha = adapt(
                self._interval_alpha,
                rule.interval_coverage,
                rule.adaptation_rate,
                beyond_days[day] / rows,
                share,
            )
            self._set_alpha = adapt(
                self._set_alpha,
                rule.set_coverage,
                rule.adaptation_rate,
                ruled_days[day] / rows,
                share,
            )

    def _forget(self) -> None:
        sessions = list(self._issued)
        waiting = count_waiting_sessions(self._rule.horizon_bars)
        for day in sessions[: -max(waiting, MOST_SHOWN_SESSIONS)]:
            del self._issued[day]
        for day in sessions[-MOST_SHOWN_SESSIONS:-waiting]:
            self._issued[day].waiting.clear()
        rows = max(self._issued[day].rows for day in sessions[-waiting:])
        self._interval_scores = keep_newest(self._interval_scores, rows)
        self._set_scores = keep_newest(self._set_scores, rows)


def count_waiting_sessions(horizon_bars: int) -> int:
    """Return over how many sessions forecasts wait for their outcome."""
    return max(HORIZONS_TO_WAIT * horizon_bars, LEAST_SESSIONS_TO_WAIT)


def keep_newest(scores: Array, rows: int) -> Array:
    """Return the newest 500 scores, or those of 20 sessions of `rows` forecasts if that is more."""
    return scores[-max(LEAST_SCORES, LEAST_SCORE_SESSIONS * rows) :]


def _unpack(issued: IssuedSession) -> _Issued:
    waiting = {
        forecast.symbol: (forecast.mean, forecast.deviation, *forecast.probabilities)
        for forecast in issued.waiting
    }
    return _Issued(issued.quantile, issued.threshold, issued.rows, waiting)


def _pack(day: int, issued: _Issued) -> IssuedSession:
    waiting = tuple(
        WaitingForecast(
            symbol=symbol, mean=forecast[0], deviation=forecast[1], probabilities=forecast[2:]
        )
        for symbol, forecast in sorted(issued.waiting.items())
    )
    return IssuedSession(
        session=_date(day),
        quantile=issued.quantile,
        threshold=issued.threshold,
        rows=issued.rows,
        waiting=waiting,
    )


def _values(day: int, issued: _Issued) -> dict[str, Any]:
    return {
        "session": _date(day).isoformat(),
        "quantile": issued.quantile,
        "threshold": issued.threshold,
        "rows": issued.rows,
        "waiting": [
            {
                "symbol": symbol,
                "mean": forecast[0],
                "deviation": forecast[1],
                "probabilities": list(forecast[2:]),
            }
            for symbol, forecast in sorted(issued.waiting.items())
        ],
    }


def _day(session: date) -> int:
    return session.toordinal() - _EPOCH


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH)
