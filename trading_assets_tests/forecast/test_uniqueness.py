import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.forecast.dataset import Rows
from trading_assets.forecast.uniqueness import weigh_uniqueness
from trading_assets_tests.forecast.random_panels import RandomPanel, make_panel, random_panels


def whole(n_symbols: int, n_sessions: int) -> RandomPanel:
    shape = (n_symbols, n_sessions)
    return make_panel(np.ones(shape, np.bool_), 1, np.zeros(shape, np.bool_))


def test_weights_of_three_labels_are_those_counted_by_hand():
    # Bars 1-3, 2-4 and 6: bars 2 and 3 are shared by two.
    rows = Rows(np.array([0, 0, 0]), np.array([0, 1, 5]))
    weights = weigh_uniqueness(whole(1, 8).panel, rows, np.array([3, 3, 1]))
    unique = np.array([(1 + 1 / 2 + 1 / 2) / 3, (1 / 2 + 1 / 2 + 1) / 3, 1.0])
    np.testing.assert_allclose(weights, unique / unique.mean(), rtol=1e-12)
    assert weights.tolist() == pytest.approx([6 / 7, 6 / 7, 9 / 7])


def test_labels_of_different_symbols_do_not_overlap():
    rows = Rows(np.array([0, 1, 1]), np.array([0, 0, 1]))
    weights = weigh_uniqueness(whole(2, 8).panel, rows, np.array([2, 2, 2]))
    assert weights.tolist() == pytest.approx([1 / (5 / 6), 0.75 / (5 / 6), 0.75 / (5 / 6)])


def test_a_life_counts_bars_of_the_symbol_and_skips_sessions_without_one():
    is_bar = np.ones((1, 8), np.bool_)
    is_bar[0, 1:3] = False
    shape = is_bar.shape
    panel = make_panel(is_bar, 1, np.zeros(shape, np.bool_)).panel
    # Bars stand at sessions 0, 3, 4, 5, 6, 7: the label of session 0 lives on 3 and 4.
    rows = Rows(np.array([0, 0, 0]), np.array([0, 3, 4]))
    weights = weigh_uniqueness(panel, rows, np.array([2, 2, 1]))
    unique = np.array([0.75, (1 / 2 + 1 / 2) / 2, 1 / 2])
    np.testing.assert_allclose(weights, unique / unique.mean(), rtol=1e-12)


def test_no_rows_have_no_weights():
    none = np.array([], np.int64)
    assert weigh_uniqueness(whole(1, 5).panel, Rows(none, none), none).shape == (0,)


@settings(max_examples=80, deadline=None)
@given(drawn=random_panels(most_sessions=60), seed=st.integers(0, 999))
def test_weights_are_those_of_a_count_bar_by_bar(drawn: RandomPanel, seed: int):
    rng = np.random.default_rng(seed)
    rows = drawn.rows.where(rng.uniform(size=len(drawn.rows)) < 0.7)
    life_bars = rng.integers(1, drawn.horizon + 1, len(rows))
    if not len(rows):
        return
    bars_of = [np.flatnonzero(own >= 0).tolist() for own in drawn.panel.table_row]
    lived: list[list[tuple[int, int]]] = []
    for symbol, session, life in zip(rows.symbol, rows.session, life_bars, strict=True):
        at = bars_of[symbol].index(session)
        lived.append([(symbol, at + step) for step in range(1, life + 1)])
    counts: dict[tuple[int, int], int] = {}
    for bars in lived:
        for bar in bars:
            counts[bar] = counts.get(bar, 0) + 1
    expected = np.array([np.mean([1.0 / counts[bar] for bar in bars]) for bars in lived])
    weights = weigh_uniqueness(drawn.panel, rows, life_bars)
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-10)
    assert weights.mean() == pytest.approx(1.0)
