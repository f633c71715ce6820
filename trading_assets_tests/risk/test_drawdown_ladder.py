"""The drawdown ladder: exact thresholds, and rungs that are kept until they may be left."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.errors import DataError
from trading_assets.risk.drawdown_ladder import (
    RUNGS,
    DrawdownState,
    Rung,
    advance_drawdown,
    limit_to_rung,
    move_cash,
    rearm_ladder,
)
from trading_assets.sizing_specs import DrawdownLadderSpec

SPEC = DrawdownLadderSpec()
START = DrawdownState(Decimal(100_000))


def after(*equities: str, start: DrawdownState = START) -> DrawdownState:
    state = start
    for equity in equities:
        state = advance_drawdown(state, Decimal(equity), SPEC)
    return state


@pytest.mark.parametrize(
    ("equity", "rung"),
    [
        ("100000", "full_size"),
        ("95000.01", "full_size"),
        ("95000", "half_size"),
        ("92000.01", "half_size"),
        ("92000", "close_only"),
        ("90000.01", "close_only"),
        ("90000", "flat"),
        ("-5", "flat"),
    ],
)
def test_a_rung_is_reached_at_its_drawdown_exactly(equity: str, rung: str):
    assert after(equity).rung == rung
    assert after(equity).has_killed == (rung == "flat")


@pytest.mark.parametrize("peak", ["3", "99999.999999", "7.77", "123456.654321"])
def test_thresholds_are_exact_for_any_peak(peak: str):
    state = DrawdownState(Decimal(peak))
    for rung, share in (("half_size", "0.95"), ("close_only", "0.92"), ("flat", "0.90")):
        at = Decimal(peak) * Decimal(share)
        assert advance_drawdown(state, at, SPEC).rung == rung
        just_above = at + Decimal("1e-9")
        assert RUNGS.index(advance_drawdown(state, just_above, SPEC).rung) < RUNGS.index(rung)


def test_drawdowns_count_from_the_highest_close():
    assert after("120000", "114000.01").rung == "full_size"
    assert after("120000", "114000").rung == "half_size"
    assert after("120000", "114000").peak_equity_usd == Decimal(120_000)


def test_half_size_is_kept_until_equity_is_at_its_highest_again():
    assert after("95000", "96000", "99999.99").rung == "half_size"
    assert after("95000", "100000").rung == "full_size"


@pytest.mark.parametrize(("reached", "rung"), [("92000", "close_only"), ("90000", "flat")])
def test_lower_rungs_are_kept_until_a_named_person_rearms(reached: str, rung: str):
    state = after(reached, "99000", "200000")
    assert state.rung == rung
    assert state.peak_equity_usd == Decimal(200_000)
    armed = rearm_ladder(state, Decimal(150_000), " Ada Lovelace ")
    assert armed == DrawdownState(Decimal(150_000), "full_size", "Ada Lovelace")
    assert after("142500", start=armed).rung == "half_size"
    assert after("142500", start=armed).rearmed_by == "Ada Lovelace"


def test_a_ladder_does_not_climb_by_itself():
    assert after("91000", "94000").rung == "close_only"
    assert after("90000", "91000").rung == "flat"


def test_cash_paid_in_or_out_is_neither_gain_nor_loss():
    low = after("96000")
    for paid in ("48000", "-48000", "0"):
        moved = move_cash(low, Decimal(96_000), Decimal(paid))
        assert moved.drawdown_at(Decimal(96_000) + Decimal(paid)) == Decimal("0.04")
        assert moved.rung == low.rung


@given(
    equities=st.lists(st.decimals("1", "1e9", places=6), min_size=1, max_size=30),
    peak=st.decimals("1", "1e9", places=6),
)
def test_rungs_are_those_of_exact_fractions(equities: list[Decimal], peak: Decimal):
    state, highest, rung = DrawdownState(peak), Fraction(peak), 0
    for equity in equities:
        state = advance_drawdown(state, equity, SPEC)
        if Fraction(equity) >= highest:
            highest, rung = Fraction(equity), 0 if rung == 1 else rung
        for number, share in ((1, 95), (2, 92), (3, 90)):
            if Fraction(equity) <= highest * share / 100:
                rung = max(rung, number)
        assert state.rung == RUNGS[rung]
        assert Fraction(state.peak_equity_usd) == highest


WANTED = np.array([0.4, -0.4, 0.1, -0.1, 0.3, 0.0])
HELD = np.array([0.2, -0.2, 0.2, -0.2, -0.3, 0.5])


@pytest.mark.parametrize(
    ("rung", "allowed"),
    [
        ("full_size", [0.4, -0.4, 0.1, -0.1, 0.3, 0.0]),
        ("half_size", [0.2, -0.2, 0.05, -0.05, 0.15, 0.0]),
        ("close_only", [0.2, -0.2, 0.1, -0.1, 0.0, 0.0]),
        ("flat", [0.0] * 6),
    ],
)
def test_a_rung_says_what_may_be_held(rung: Rung, allowed: list[float]):
    np.testing.assert_allclose(limit_to_rung(WANTED, HELD, rung), allowed, atol=1e-15)


def test_what_is_no_state_is_refused():
    for amount in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(DataError, match="expected a finite number: reconcile"):
            advance_drawdown(START, Decimal(amount), SPEC)
    for amount in ("NaN", "Infinity", "0", "-1"):
        with pytest.raises(DataError, match="peak equity was"):
            DrawdownState(Decimal(amount))
        with pytest.raises(DataError, match="equity was"):
            rearm_ladder(after("90000"), Decimal(amount), "Ada")
    with pytest.raises(DataError, match="expected one of full_size"):
        DrawdownState(Decimal(1), "tiny")
    for person in ("", "  "):
        with pytest.raises(DataError, match="expected the name of who lets trading go on"):
            rearm_ladder(after("90000"), Decimal(90_000), person)
    with pytest.raises(DataError, match="there is nothing to re-arm"):
        rearm_ladder(after("97000"), Decimal(97_000), "Ada")
    for paid in ("-96000", "-200000", "NaN"):
        with pytest.raises(DataError, match="equity after the payment was"):
            move_cash(START, Decimal(96_000), Decimal(paid))


def test_weights_that_are_none_are_refused():
    with pytest.raises(DataError, match="expected one finite number of each"):
        limit_to_rung(WANTED, HELD[1:], "close_only")
    for broken in (np.nan, np.inf):
        wrong = np.where(np.arange(6) == 2, broken, HELD)
        for rung in RUNGS:
            with pytest.raises(DataError, match="expected one finite number of each"):
                limit_to_rung(WANTED, wrong, rung)
            with pytest.raises(DataError, match="expected one finite number of each"):
                limit_to_rung(wrong, HELD, rung)
    with pytest.raises(DataError, match="expected one of full_size"):
        limit_to_rung(WANTED, HELD, "tiny")


@pytest.mark.parametrize(
    "values",
    [
        {"half_size": 0.08},
        {"close_only": 0.10},
        {"half_size": 0.2},
        {"flat": 0.05},
        {"half_size": 0.0},
        {"flat": 1.0},
    ],
)
def test_ladders_that_do_not_descend_are_refused(values: dict[str, float]):
    with pytest.raises(ValidationError):
        DrawdownLadderSpec.model_validate(values)
