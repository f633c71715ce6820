"""Weights by hierarchical risk parity, held against skfolio itself and against a hand."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from skfolio.optimization import HierarchicalRiskParity

from trading_assets.backtest.allocations import LEAST_BARS
from trading_assets.backtest.hierarchical_risk_parity import hierarchical_risk_parity_weights


def draw(seed: int, bars: int = 300, symbols: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = 0.008 * rng.standard_normal((bars, 1)) * rng.uniform(0.5, 1.5, symbols)
    return common + 0.01 * rng.standard_normal((bars, symbols)) * rng.uniform(0.5, 2.0, symbols)


def with_covariance(covariance: np.ndarray, bars: int = 252) -> np.ndarray:
    """Returns of mean 0 whose sample covariance is exactly the given one."""
    noise = np.random.default_rng(0).standard_normal((bars, len(covariance)))
    white, _ = np.linalg.qr(noise - noise.mean(axis=0))
    return np.sqrt(bars - 1) * white @ np.linalg.cholesky(covariance).T


@pytest.mark.parametrize("symbols", [2, 3, 6, 11])
def test_weights_are_those_of_skfolio_over_the_last_year(symbols: int):
    returns = draw(symbols, symbols=symbols)
    expected = HierarchicalRiskParity().fit(returns[-252:]).weights_
    np.testing.assert_allclose(hierarchical_risk_parity_weights(returns), expected, rtol=1e-12)


def test_two_symbols_are_weighed_by_one_over_their_variances():
    found = hierarchical_risk_parity_weights(with_covariance(np.diag([1e-4, 4e-4])))
    # (1 / 1) : (1 / 4) of 1e4, so 0.8 and 0.2.
    np.testing.assert_allclose(found, [0.8, 0.2], rtol=1e-9)


def test_blocks_that_do_not_move_together_are_halved_by_their_own_variances():
    # Two pairs of correlation 0.8, deviations 1 and 2 % in the first, 2 and 4 % in the second.
    pair = np.array([[1.0, 1.6], [1.6, 4.0]]) * 1e-4
    covariance = np.block([[pair, np.zeros((2, 2))], [np.zeros((2, 2)), 4.0 * pair]])
    # A pair by inverse variances holds 0.8 and 0.2; its variance is
    # 0.64 x 1 + 0.04 x 4 + 2 x 0.16 x 1.6 = 1.312 e-4, four times that in the second. So the first
    # pair gets 0.8 of everything, and each pair is split 0.8 to 0.2 again.
    found = hierarchical_risk_parity_weights(with_covariance(covariance))
    np.testing.assert_allclose(found, [0.64, 0.16, 0.16, 0.04], rtol=1e-9)


def test_a_single_symbol_is_held_in_full():
    assert hierarchical_risk_parity_weights(draw(1, symbols=1)).tolist() == [1.0]


@pytest.mark.parametrize("bars", [0, 1, LEAST_BARS - 1])
def test_without_half_a_year_nothing_is_held(bars: int):
    assert (hierarchical_risk_parity_weights(draw(1, bars=bars)) == 0.0).all()


def test_symbols_that_are_not_known_are_left_out():
    returns = draw(2)
    returns[: -LEAST_BARS + 1, 0] = np.nan
    returns[-1, 3] = np.nan
    found = hierarchical_risk_parity_weights(returns)
    assert found[[0, 3]].tolist() == [0.0, 0.0]
    known = np.delete(returns, [0, 3], axis=1)
    np.testing.assert_allclose(
        np.delete(found, [0, 3]), hierarchical_risk_parity_weights(known), rtol=1e-12
    )


@pytest.mark.parametrize("still", [0.0, 0.1, 1e-9])
def test_symbols_that_never_moved_are_left_out(still: float):
    returns = draw(3)
    returns[:, 2] = still
    returns[::2, 2] += still * 1e-12
    found = hierarchical_risk_parity_weights(returns)
    assert found[2] == 0.0
    assert found.sum() == pytest.approx(1.0)
    assert (hierarchical_risk_parity_weights(returns[:, [2]]) == 0.0).all()


def test_symbols_that_are_the_same_share_what_one_would_get():
    returns = draw(4, symbols=3)
    found = hierarchical_risk_parity_weights(returns[:, [0, 0, 1, 1, 2]])
    assert found.sum() == pytest.approx(1.0)
    assert found[0] == pytest.approx(found[1])


def test_the_order_of_symbols_changes_nothing():
    returns = draw(5, symbols=7)
    order = np.array([4, 0, 6, 2, 1, 5, 3])
    found = np.zeros(7)
    found[order] = hierarchical_risk_parity_weights(returns[:, order])
    np.testing.assert_allclose(found, hierarchical_risk_parity_weights(returns), atol=1e-12)


def test_the_same_returns_give_the_same_bits():
    first, second = (hierarchical_risk_parity_weights(draw(6, symbols=20)) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_no_warning_escapes(monkeypatch: pytest.MonkeyPatch):
    fit = HierarchicalRiskParity.fit

    def fit_loudly(self: HierarchicalRiskParity, window: np.ndarray) -> HierarchicalRiskParity:
        warnings.warn("of its own", FutureWarning, stacklevel=2)
        return fit(self, window)

    monkeypatch.setattr(HierarchicalRiskParity, "fit", fit_loudly)
    assert hierarchical_risk_parity_weights(draw(7)).sum() == pytest.approx(1.0)


def test_skfolio_is_imported_when_weights_are_asked_for():
    program = (
        "import sys, trading_assets.backtest.fold, trading_assets.governance.challenger\n"
        "assert 'skfolio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
