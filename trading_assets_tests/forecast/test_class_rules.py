import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trading_assets.errors import DataError
from trading_assets.forecast.class_rules import (
    BarrierRule,
    ClassRule,
    TercileRule,
    classify_rows,
    fit_class_rule,
)
from trading_assets.forecast.dataset import LabelGrid, Paths, Rows
from trading_assets.forecast.labels import class_shares
from trading_assets.forecast_specs import ForecastSpec

FIXED = ForecastSpec(labels="fixed_horizon", horizon_bars=3)
BARRIER = ForecastSpec(labels="triple_barrier", horizon_bars=3)


def grid_of(returns: np.ndarray, paths: Paths | None = None) -> tuple[LabelGrid, Rows]:
    """Return labels of one symbol, one row after the other."""
    count = len(returns)
    ends = np.full((1, count), np.datetime64("2004-01-01"))
    return LabelGrid(returns[None], ends, paths), Rows(np.zeros(count, np.int64), np.arange(count))


def paths_of(highs: list[list[float]], lows: list[list[float]]) -> tuple[LabelGrid, Rows]:
    """Return labels of rows whose bars had these highs and lows (n, h)."""
    high = np.maximum.accumulate(np.array(highs), axis=1)
    low = np.minimum.accumulate(np.array(lows), axis=1)
    return grid_of(np.zeros(len(highs)), Paths(high[None], low[None]))


def random_paths(count: int, bars: int = 3, seed: int = 0) -> tuple[LabelGrid, Rows]:
    rng = np.random.default_rng(seed)
    moves = rng.normal(size=(count, bars, 2)) / np.sqrt(bars)
    # Rounded, so that some rows went exactly as far as others.
    walk = np.round(np.cumsum(moves.sum(axis=2), axis=1), 1)
    high = np.maximum(np.maximum.accumulate(walk + 0.1, axis=1), 0.0)
    low = np.minimum(np.minimum.accumulate(walk - 0.1, axis=1), 0.0)
    return grid_of(walk[:, -1], Paths(high[None], low[None]))


def test_terciles_hold_a_third_each():
    returns = np.random.default_rng(0).normal(size=3000)
    labels, rows = grid_of(returns)
    rule = fit_class_rule(labels, rows, FIXED)
    found = classify_rows(rule, labels, rows, 3)
    np.testing.assert_allclose(class_shares(found.classes), 1 / 3, atol=1e-3)
    assert found.classes.dtype == found.life_bars.dtype == np.int64
    assert set(found.life_bars.tolist()) == {3}
    assert found.n_both_touched == 0
    assert isinstance(rule, TercileRule)
    assert rule.classify(np.array([-9.0, 0.0, 9.0])).tolist() == [0, 1, 2]


def test_the_first_barrier_touched_tells_the_class_and_the_life():
    labels, rows = paths_of(
        [[0.2, 1.0, 1.4], [0.2, 0.3, 0.9], [0.5, 0.9, 2.0], [0.0, 0.5, 0.6]],
        [[-0.1, -0.9, -2.0], [-0.9, -1.0, -0.5], [-0.2, -0.9, -0.3], [-1.5, -0.5, -0.5]],
    )
    found = classify_rows(BarrierRule(width=1.0), labels, rows, 3)
    assert found.classes.tolist() == [2, 0, 2, 0]
    assert found.life_bars.tolist() == [2, 2, 3, 1]
    assert found.n_both_touched == 0


def test_a_row_that_touches_no_barrier_is_flat_and_lives_the_horizon():
    labels, rows = paths_of([[0.2, 0.9, 0.9]], [[-0.2, -0.9, -0.99]])
    found = classify_rows(BarrierRule(width=1.0), labels, rows, 3)
    assert (found.classes.tolist(), found.life_bars.tolist()) == ([1], [3])
    assert found.n_both_touched == 0


def test_both_barriers_within_the_first_bar_that_touches_are_taken_as_down_and_counted():
    labels, rows = paths_of(
        # Both in bar 2; both in bar 2, but up already in bar 1; both in the last bar.
        [[0.1, 1.2, 0.0], [1.1, 1.2, 0.0], [0.1, 0.2, 1.0]],
        [[-0.1, -1.2, 0.0], [-0.1, -1.2, 0.0], [-0.1, -0.2, -1.0]],
    )
    found = classify_rows(BarrierRule(width=1.0), labels, rows, 3)
    assert found.classes.tolist() == [0, 2, 0]
    assert found.life_bars.tolist() == [2, 1, 3]
    assert found.n_both_touched == 2


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 9999), width=st.floats(0.05, 2.0), bars=st.integers(1, 6))
def test_classes_are_those_of_walking_bar_by_bar(seed: int, width: float, bars: int):
    labels, rows = random_paths(60, bars, seed)
    assert labels.paths is not None
    found = classify_rows(BarrierRule(width=width), labels, rows, bars)
    for row in range(60):
        expected = (1, bars)
        for bar in range(bars):
            if labels.paths.low[0, row, bar] <= -width:
                expected = (0, bar + 1)
                break
            if labels.paths.high[0, row, bar] >= width:
                expected = (2, bar + 1)
                break
        assert (found.classes[row], found.life_bars[row]) == expected


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9999), count=st.integers(60, 200))
def test_no_other_width_leaves_a_share_untouched_that_is_nearer_to_a_third(seed: int, count: int):
    labels, rows = random_paths(count, seed=seed)
    assert labels.paths is not None

    def distance(width: float) -> float:
        classes = classify_rows(BarrierRule(width=width), labels, rows, 3).classes
        return abs(float((classes == 1).mean()) - 1 / 3)

    rule = fit_class_rule(labels, rows, BARRIER)
    assert isinstance(rule, BarrierRule)
    high = np.abs(labels.paths.high[0]).ravel()
    others = np.unique(np.concatenate((high, np.abs(labels.paths.low[0]).ravel()))) + 1e-9
    assert distance(rule.width) <= min(distance(float(width)) for width in others)


def test_a_third_of_distinct_paths_is_left_untouched_exactly():
    rng = np.random.default_rng(2)
    high = np.abs(rng.normal(size=(300, 1, 1)))
    low = -np.abs(rng.normal(size=(300, 1, 1)))
    labels, rows = grid_of(np.zeros(300), Paths(high.reshape(1, 300, 1), low.reshape(1, 300, 1)))
    spec = BARRIER.model_copy(update={"horizon_bars": 1})
    rule = fit_class_rule(labels, rows, spec)
    assert (classify_rows(rule, labels, rows, 1).classes == 1).sum() == 100


def test_a_rule_reads_train_rows_only():
    labels, rows = random_paths(400)
    train = rows.where(rows.session < 200)
    assert labels.paths is not None
    changed = Paths(labels.paths.high.copy(), labels.paths.low.copy())
    changed.high[:, 200:] *= 7.0
    returns = labels.scaled_return.copy()
    returns[:, 200:] *= 7.0
    other = LabelGrid(returns, labels.label_end, changed)
    for spec in (FIXED, BARRIER):
        rule = fit_class_rule(labels, train, spec)
        assert fit_class_rule(other, train, spec) == rule
        assert fit_class_rule(other, rows, spec) != rule


def test_a_class_that_never_occurs_is_refused():
    labels, rows = grid_of(np.concatenate((np.zeros(900), np.full(10, -1.0))))
    message = r"class flat holds 0.0% of 910 train labels of part-2; .* 5%: look for stale prices"
    with pytest.raises(DataError, match=message):
        fit_class_rule(labels, rows, FIXED, "part-2")


def test_barriers_that_only_one_side_ever_touches_are_refused():
    low = np.linspace(-3.0, -0.1, 300)[None, :, None]
    labels, rows = grid_of(np.zeros(300), Paths(np.zeros_like(low), low))
    spec = BARRIER.model_copy(update={"horizon_bars": 1})
    with pytest.raises(DataError, match=r"class up holds 0.0% of 300 .* look for stale prices"):
        fit_class_rule(labels, rows, spec)


def test_prices_that_never_move_are_refused():
    still = np.zeros((1, 80, 3))
    labels, rows = grid_of(np.zeros(80), Paths(still, still))
    with pytest.raises(DataError, match=r"class down holds 0.0% of 80 .* look for stale prices"):
        fit_class_rule(labels, rows, BARRIER)


def test_rows_without_a_label_are_refused():
    labels, rows = grid_of(np.array([0.5, np.nan, np.nan]))
    with pytest.raises(DataError, match="2 of 3 rows to classify have no label; expected none"):
        classify_rows(TercileRule(lower=-1.0, upper=1.0), labels, rows, 3)


def test_barriers_need_paths():
    labels, rows = grid_of(np.zeros(60))
    with pytest.raises(DataError, match="labels hold no paths; expected those of a triple"):
        fit_class_rule(labels, rows, BARRIER)
    with pytest.raises(DataError, match="labels hold no paths"):
        classify_rows(BarrierRule(width=1.0), labels, rows, 3)


@pytest.mark.parametrize(
    "rule", [TercileRule(lower=-0.1 / 3.0, upper=0.7), BarrierRule(width=2.0 / 3.0)]
)
def test_a_rule_comes_back_from_a_card_as_it_was(rule: TercileRule | BarrierRule):
    card = TypeAdapter[TercileRule | BarrierRule](ClassRule)
    assert card.validate_json(card.dump_json(rule)) == rule


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "barriers", "width": 0.0},
        {"kind": "terciles", "lower": 0.2, "upper": 0.1},
        {"kind": "terciles", "width": 1.0},
        {"kind": "quartiles", "lower": 0.1, "upper": 0.2},
        {"kind": "barriers", "width": float("inf")},
    ],
)
def test_a_damaged_rule_is_refused(value: dict[str, object]):
    with pytest.raises(ValidationError):
        TypeAdapter[object](ClassRule).validate_python(value)
