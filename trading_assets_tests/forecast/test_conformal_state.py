import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.errors import DataError
from trading_assets.forecast.conformal_state import (
    ConformalState,
    CoverageRule,
    IssuedSession,
    WaitingForecast,
)
from trading_assets.forecast_specs import ForecastSpec

RULE = CoverageRule(horizon_bars=5, interval_coverage=0.9, set_coverage=0.8, adaptation_rate=0.02)
WAITING = WaitingForecast(symbol="BRK.B", mean=-0.1, deviation=1.3, probabilities=(0.2, 0.3, 0.5))
ISSUED = IssuedSession(
    session=date(2024, 1, 5), quantile=1.7, threshold=0.9, rows=2, waiting=(WAITING,)
)
STATE = ConformalState(
    rule=RULE,
    session=date(2024, 1, 5),
    interval_alpha=0.1,
    set_alpha=-0.03,
    interval_scores=(0.1, 1 / 3, 2.5),
    set_scores=(0.5, 1.0, 0.1 + 0.2),
    issued=(ISSUED,),
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_a_state_is_the_same_after_a_round_trip():
    text = STATE.to_json()
    assert ConformalState.from_json(text) == STATE
    assert ConformalState.from_json(text).to_json() == text


@given(
    st.lists(FINITE.filter(lambda score: score >= 0), min_size=1, max_size=20),
    FINITE,
    st.floats(0.0, exclude_min=True, allow_infinity=False),
)
def test_every_float_is_as_it_was(scores, mean, deviation):
    waiting = WAITING.model_copy(update={"mean": mean, "deviation": deviation})
    state = STATE.model_copy(
        update={
            "interval_scores": tuple(scores),
            "set_scores": tuple(score % 1.0 for score in scores),
            "interval_alpha": mean,
            "issued": (ISSUED.model_copy(update={"waiting": (waiting,)}),),
        }
    )
    read = ConformalState.from_json(state.to_json())
    assert read == state
    assert np.array(read.interval_scores).tobytes() == np.array(scores).tobytes()
    assert np.float64(read.interval_alpha).tobytes() == np.float64(mean).tobytes()


def test_the_rule_is_what_a_forecaster_declares():
    rule = CoverageRule.of(ForecastSpec(horizon_bars=3, set_coverage=0.7))
    assert rule == CoverageRule(
        horizon_bars=3, interval_coverage=0.9, set_coverage=0.7, adaptation_rate=0.05
    )


def damaged(*path: str | int, value: object = None) -> bytes:
    values = json.loads(STATE.to_json())
    place = values
    for part in path[:-1]:
        place = place[part]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"", "the whole is wrong"),
        (b"{}", "rule is wrong"),
        (damaged("kind", value="state"), "kind is wrong"),
        (damaged("stranger", value=1), "stranger is wrong"),
        (damaged("set_alpha"), "set_alpha is wrong"),
        (damaged("set_alpha", value="0.1"), "set_alpha is wrong"),
        (damaged("set_alpha", value=float("nan")), "set_alpha is wrong"),
        (damaged("interval_scores", value=[]), "interval_scores is wrong"),
        (damaged("interval_scores", 1, value=-0.5), "interval_scores.1 is wrong"),
        (damaged("interval_scores", 1, value=float("inf")), "interval_scores.1 is wrong"),
        (damaged("interval_scores", 2), "2 interval_scores and 3 set_scores"),
        (damaged("set_scores", 0, value=1.5), "set_scores.0 is wrong"),
        (damaged("session", value="2024-13-01"), "session is wrong"),
        (damaged("session", value="2024-01-04"), "in order up to 2024-01-04"),
        (damaged("rule", "horizon_bars", value=0), "rule.horizon_bars is wrong"),
        (damaged("rule", "interval_coverage", value=1.0), "rule.interval_coverage is wrong"),
        (damaged("issued", 0, "rows", value=1.5), "issued.0.rows is wrong"),
        (damaged("issued", 0, "rows", value=False), "issued.0.rows is wrong"),
        (damaged("issued", 0, "quantile", value=-1.0), "issued.0.quantile is wrong"),
        (damaged("issued", 0, "waiting", 0, "deviation", value=0.0), "waiting.0.deviation is"),
        (damaged("issued", 0, "waiting", 0, "probabilities", value=[0.5, 0.5]), "probabilities"),
    ],
)
def test_a_damaged_state_is_refused_by_name(text: bytes, named: str):
    with pytest.raises(DataError, match=f"conformal state: .*{named}"):
        ConformalState.from_json(text)


def test_more_forecasts_cannot_wait_than_were_issued():
    with pytest.raises(ValidationError, match="1 forecasts of 2024-01-05 wait; expected at most 0"):
        IssuedSession(**{**dict(ISSUED), "rows": 0})


def test_a_symbol_waits_once_a_session():
    with pytest.raises(ValidationError, match="symbols in order, each once"):
        IssuedSession(**{**dict(ISSUED), "waiting": (WAITING, WAITING)})


def test_a_session_was_issued_once():
    with pytest.raises(ValidationError, match="in order up to 2024-01-05, each once"):
        ConformalState(**{**dict(STATE), "issued": (ISSUED, ISSUED)})
