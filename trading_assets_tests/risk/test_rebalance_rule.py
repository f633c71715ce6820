from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trading_assets.errors import DataError
from trading_assets.rebalance_specs import (
    DeclaredRebalance,
    EveryBarSpec,
    NoTradeBandSpec,
    WeeklySpec,
)
from trading_assets.risk.limits import WeightLimits
from trading_assets.risk.projection import project_weights
from trading_assets.risk.rebalance_rule import name_held_back, weights_to_trade
from trading_assets_tests.risk.limit_cases import cases, kept_book, project

WIDE = WeightLimits(1.0, 2.0, is_long_only=False)
ALL = np.ones(4, dtype=bool)
WEEKLY = WeeklySpec(kind="weekly")
EVERY = EveryBarSpec()


def band(width, trade_to) -> NoTradeBandSpec:
    return NoTradeBandSpec(kind="no_trade_band", band=width, trade_to=trade_to)


rules = st.one_of(
    st.just(WEEKLY), st.builds(band, st.floats(0.001, 0.5), st.sampled_from(["edge", "target"]))
)


def traded(rule, case, held, *, is_first):
    return weights_to_trade(
        rule, project(case), held, np.array(is_first), case.limits, case.tradable
    )


def by_hand(rule, decided, held, *, is_first=False, limits=WIDE):
    flags = np.array(is_first)
    return weights_to_trade(rule, np.array(decided), np.array(held), flags, limits, ALL)


def test_every_bar_leaves_a_decision_as_it_is():
    decided = np.array([0.1, -0.2, 0.3, 0.0])
    held = np.full(4, np.nan)
    flags = np.array(False)
    assert weights_to_trade(EVERY, decided, held, flags, WIDE, ALL) is decided


def test_weekly_trades_in_the_first_session_of_a_week_alone():
    decided, held = [0.3, -0.1, 0.0, 0.2], [0.25, 0.05, 0.1, 0.0]
    np.testing.assert_array_equal(by_hand(WEEKLY, decided, held, is_first=True), decided)
    np.testing.assert_array_equal(by_hand(WEEKLY, decided, held), held)


def test_each_row_has_its_own_week():
    decided, held = np.full((2, 4), 0.2), np.full((2, 4), 0.1)
    found = weights_to_trade(WEEKLY, decided, held, np.array([True, False]), WIDE, ALL)
    np.testing.assert_array_equal(found, [[0.2] * 4, [0.1] * 4])


def test_a_band_trades_to_its_edge_or_to_the_target():
    decided, held = [0.5, 0.25, -0.25, 0.0], [0.25, 0.375, -0.75, 0.125]
    to_edge = by_hand(band(0.125, "edge"), decided, held)
    np.testing.assert_array_equal(to_edge, [0.375, 0.375, -0.375, 0.125])
    to_target = by_hand(band(0.125, "target"), decided, held)
    np.testing.assert_array_equal(to_target, [0.5, 0.375, -0.25, 0.125])


def test_a_sum_that_kept_and_traded_weights_break_together_is_brought_back():
    # Two kept at 0.25 and a third bought to 0.06 would be 0.56 gross.
    limits = WeightLimits(0.3, 0.5, is_long_only=True)
    decided, held = [0.22, 0.22, 0.06, 0.0], [0.25, 0.25, 0.0, 0.0]
    found = by_hand(band(0.05, "target"), decided, held, limits=limits)
    np.testing.assert_allclose(found, [0.22, 0.22, 0.06, 0.0], atol=1e-12)
    held = [0.25, 0.21, 0.0, 0.0]
    found = by_hand(band(0.05, "target"), decided, held, limits=limits)
    # 0.52 is 0.02 too much, and the first symbol alone is to be sold, by 0.03.
    np.testing.assert_allclose(found, [0.23, 0.21, 0.06, 0.0], atol=1e-12)
    decided = [0.2, 0.2, 0.06, 0.0]
    found = by_hand(band(0.05, "target"), decided, held, limits=limits)
    # 0.52 is a third of the way from the limit to the decision's 0.46 above it.
    np.testing.assert_allclose(found, [0.25 - 0.05 / 3, 0.21 - 0.01 / 3, 0.06, 0.0], atol=1e-12)


def test_a_book_beyond_its_limits_comes_back_even_if_nothing_is_due():
    limits = WeightLimits(0.3, 0.5, is_long_only=True)
    found = by_hand(WEEKLY, [0.2, 0.2, 0.0, 0.0], [0.35, 0.24, 0.0, 0.0], limits=limits)
    # 0.30 by its own limit, and 0.54 together is 2/7 of 0.14 too much.
    np.testing.assert_allclose(found, [0.3 - 0.2 / 7, 0.24 - 0.08 / 7, 0, 0], atol=1e-12)
    assert found.sum() == pytest.approx(0.5)


def test_a_fully_invested_book_is_not_traded_more_than_prices_have_carried_it_beyond():
    limits = WeightLimits(0.6, 0.9, is_long_only=True)
    found = by_hand(WEEKLY, [0.4, 0.1, 0.3, 0.1], [0.25, 0.35, 0.31, 0.0], limits=limits)
    # 0.01 of gross too much; 0.25 and 0.01 are to be sold in all.
    np.testing.assert_allclose(found, [0.25, 0.35 - 0.25 / 26, 0.31 - 0.01 / 26, 0], atol=1e-12)


def test_where_bringing_one_sum_back_breaks_another_all_symbols_go_on():
    limits = WeightLimits(1.0, 1.02, is_long_only=False, max_net=0.0)
    held, decided = [0.55, -0.55, 0.0, 0.0], [0.5, -0.3, -0.2, 0.0]
    found = by_hand(WEEKLY, decided, held, limits=limits)
    # 0.08 gross too much: the first two are closed by 4/15 of 0.05 and 0.25.
    long, short = 0.55 - 0.05 * 4 / 15, -0.55 + 0.25 * 4 / 15
    # Net long now: the first is sold on, and the third sold short, by one part of 0.2 and the rest.
    part = (long + short) / (long - 0.5 + 0.2)
    moved = np.array([long - part * (long - 0.5), short, -0.2 * part, 0.0])
    # Which is too much gross again: all go on toward the decision's 1.0.
    gross = np.abs(moved).sum()
    assert gross > 1.03
    expected = moved + (gross - 1.02) / (gross - 1.0) * (np.array(decided) - moved)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_cannot_be_traded_does_not_press_on_the_others():
    limits = WeightLimits(0.4, 0.5, is_long_only=True)
    held, tradable = np.array([0.4, 0.3, 0.1, 0.0]), np.array([False, True, True, True])
    decided = np.array([0.0, 0.1, 0.1, 0.1])
    found = weights_to_trade(WEEKLY, decided, held, np.array(False), limits, tradable)
    np.testing.assert_array_equal(found, [0.0, 0.3, 0.1, 0.0])


@given(cases(), rules, st.booleans())
def test_what_is_traded_keeps_every_limit(case, rule, is_first):
    found = traded(rule, case, case.held, is_first=is_first)
    hard = case.without_turnover()
    assert hard.breach(found) <= 1e-9 + max(hard.breach(project(case)), 0.0)
    again = project_weights(found, case.limits, case.tradable, case.held)
    np.testing.assert_array_equal(again, found)


@given(cases(), rules, st.booleans())
def test_turnover_is_never_more_than_the_decisions(case, rule, is_first):
    found = traded(rule, case, case.held, is_first=is_first)
    decided = project(case)
    moved = np.abs(found - case.held)[case.tradable].sum()
    assert moved <= np.abs(decided - case.held)[case.tradable].sum() + 1e-9


@given(cases(), rules, st.booleans())
def test_each_symbol_ends_between_what_is_held_and_what_is_decided(case, rule, is_first):
    case = replace(case, limits=replace(case.limits, max_turnover=None))
    found, decided = traded(rule, case, case.held, is_first=is_first), project(case)
    low, high = np.minimum(case.held, decided), np.maximum(case.held, decided)
    on = case.tradable
    assert (found[on] >= low[on] - 1e-9).all()
    assert (found[on] <= high[on] + 1e-9).all()
    assert (found[~on] == 0.0).all()


@given(cases(), rules, st.booleans())
def test_deciding_the_same_again_trades_nothing(case, rule, is_first):
    case = replace(case, limits=replace(case.limits, max_turnover=None))
    once = traded(rule, case, case.held, is_first=is_first)
    np.testing.assert_allclose(traded(rule, case, once, is_first=is_first), once, atol=1e-11)


@given(cases(), st.floats(0.001, 0.5), st.sampled_from(["edge", "target"]))
def test_a_book_that_keeps_the_limits_is_left_alone_within_the_band(case, width, trade_to):
    case = kept_book(case)
    case = case.holding(np.where(case.tradable, case.held, 0.0))
    found = traded(band(width, trade_to), case, case.held, is_first=False)
    decided = project(case)
    near = np.abs(decided - case.held) <= width
    if near.all():
        np.testing.assert_array_equal(found, case.held)
    assert (np.abs(found - decided) <= width + 1e-9).all()
    waited = traded(WEEKLY, case, case.held, is_first=False)
    np.testing.assert_array_equal(waited, case.held)


@given(cases(), st.floats(0.0, 1.0))
def test_a_part_of_the_way_to_projected_weights_stays_within_convex_limits(case, share):
    case = kept_book(case)
    case = case.holding(np.where(case.tradable, case.held, 0.0))
    blended = case.held + share * (project(case) - case.held)
    assert case.without_turnover().breach(blended) <= 1e-9


@given(cases(), rules, st.booleans())
def test_a_row_is_traded_alike_alone_and_in_a_batch(case, rule, is_first):
    decided = project(case)
    batch = weights_to_trade(
        rule,
        np.stack([decided, decided * 0.5]),
        np.stack([case.held, case.held]),
        np.array([is_first, not is_first]),
        replace(case.limits, min_net=None),
        np.stack([case.tradable, case.tradable]),
    )
    alone = weights_to_trade(
        rule,
        decided,
        case.held,
        np.array(is_first),
        replace(case.limits, min_net=None),
        case.tradable,
    )
    np.testing.assert_array_equal(batch[0], alone)


def test_weights_that_are_none_are_refused():
    flags, decided = np.array(True), np.zeros(4)
    with pytest.raises(DataError, match=r"held weights were of shape \(3,\)"):
        weights_to_trade(WEEKLY, decided, np.zeros(3), flags, WIDE, ALL)
    nan = np.array([0.0, np.nan, 0.0, np.inf])
    with pytest.raises(DataError, match="2 held weights were not finite"):
        weights_to_trade(WEEKLY, decided, nan, flags, WIDE, ALL)
    with pytest.raises(DataError, match="2 decided weights were not finite"):
        weights_to_trade(WEEKLY, nan, decided, flags, WIDE, ALL)


declared = TypeAdapter(DeclaredRebalance)


def test_a_rule_is_declared_by_its_name_or_with_its_numbers():
    assert declared.validate_python("every_bar") == EVERY
    assert declared.validate_python("weekly") == WEEKLY
    given_band = {"kind": "no_trade_band", "band": 0.02, "trade_to": "edge"}
    assert declared.validate_python(given_band) == band(0.02, "edge")


@pytest.mark.parametrize(
    "values",
    [
        "monthly",
        "no_trade_band",
        {"kind": "no_trade_band", "band": 0.0, "trade_to": "edge"},
        {"kind": "no_trade_band", "band": float("nan"), "trade_to": "edge"},
        {"kind": "no_trade_band", "band": 0.1},
        {"kind": "no_trade_band", "band": 0.1, "trade_to": "middle"},
        {"kind": "weekly", "band": 0.1},
    ],
)
def test_a_rule_that_is_none_is_refused(values):
    with pytest.raises(ValidationError):
        declared.validate_python(values)


def test_what_a_rule_held_back_is_named_beside_the_limits():
    names = ["max_gross", "", "max_weight", ""]
    decided, traded = np.array([0.3, 0.1, 0.5, 0.0]), np.array([0.2, 0.05, 0.5, 0.0])
    found = name_held_back(names, decided, traded)
    assert found == ("max_gross+rebalance", "rebalance", "max_weight", "")
