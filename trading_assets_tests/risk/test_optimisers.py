"""Optimised weights, held against closed forms, a second optimiser and the sample itself."""

import subprocess
import sys
from functools import lru_cache

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import minimize
from sklearn.covariance import LedoitWolf

from trading_assets.errors import DataError
from trading_assets.optimiser_specs import OptimiserKind, OptimiserSpec
from trading_assets.risk.closed_form_weights import (
    hierarchical_risk_parity,
    inverse_volatility,
    minimum_variance,
)
from trading_assets.risk.optimisers import OptimisedWeights, optimise_weights

KINDS: tuple[OptimiserKind, ...] = (
    "mean_variance",
    "minimum_variance",
    "risk_parity",
    "hierarchical_risk_parity",
    "cvar",
)


def draw(seed: int, bars: int = 260, symbols: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = 0.008 * rng.standard_normal((bars, 1)) * rng.uniform(0.5, 1.5, symbols)
    own = 0.01 * rng.standard_normal((bars, symbols)) * rng.uniform(0.5, 2.0, symbols)
    return common + own + rng.uniform(-0.0005, 0.001, symbols)


def optimise(
    returns: np.ndarray,
    kind: OptimiserKind,
    held: np.ndarray | None = None,
    cost: float = 0.0,
    **values: object,
) -> OptimisedWeights:
    symbols = returns.shape[1]
    now = np.full(symbols, 1.0 / symbols) if held is None else held
    spec = OptimiserSpec.model_validate({"kind": kind, **values})
    return optimise_weights(returns, now, np.full(symbols, cost), spec)


def shrunk(returns: np.ndarray) -> np.ndarray:
    return LedoitWolf().fit(returns[-252:]).covariance_


@pytest.mark.parametrize("symbols", [2, 6, 11])
def test_minimum_variance_is_its_closed_form(symbols: int):
    returns = draw(symbols, symbols=symbols)
    found = optimise(returns, "minimum_variance")
    assert found.replaced == ""
    np.testing.assert_allclose(found.weights, minimum_variance(shrunk(returns)), atol=1e-6)


@pytest.mark.parametrize("symbols", [2, 3, 6, 11, 20])
def test_hierarchical_risk_parity_is_its_closed_form(symbols: int):
    returns = draw(symbols, symbols=symbols)
    expected = hierarchical_risk_parity(np.cov(returns[-252:], rowvar=False))
    found = optimise(returns, "hierarchical_risk_parity")
    np.testing.assert_allclose(found.weights, expected, atol=1e-6)


def test_an_interior_minimum_variance_is_that_of_the_inverse():
    covariance = np.array([[4.0, 1.0], [1.0, 2.0]])
    # Inverse times ones: (2 - 1) to (4 - 1).
    np.testing.assert_allclose(minimum_variance(covariance), [0.25, 0.75], rtol=1e-12)
    np.testing.assert_allclose(inverse_volatility(np.diag([4.0, 1.0])), [1 / 3, 2 / 3])


def test_risk_parity_gives_every_symbol_the_same_share_of_risk():
    returns = draw(1)
    weights = optimise(returns, "risk_parity").weights
    shares = weights * (shrunk(returns) @ weights)
    np.testing.assert_allclose(shares / shares.sum(), 1.0 / 6.0, atol=1e-6)
    assert weights.sum() == pytest.approx(1.0)


@lru_cache
def moments(seed: int) -> tuple[np.ndarray, np.ndarray]:
    returns = draw(seed)
    return returns[-252:].mean(axis=0), shrunk(returns)


def utility(weights: np.ndarray, seed: int, held: np.ndarray, cost: float) -> float:
    mean, covariance = moments(seed)
    earned = weights @ mean
    risk = weights @ covariance @ weights
    return float(earned - 2.5 * risk - cost * 1e-4 / 21 * np.abs(weights - held).sum())


@pytest.mark.parametrize("cost", [0.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
def test_mean_variance_is_the_best_of_return_risk_and_cost(cost: float, seed: int):
    returns = draw(seed)
    held = np.random.default_rng(seed).dirichlet(np.ones(6))
    weights = optimise(returns, "mean_variance", held, cost).weights
    best = utility(weights, seed, held, cost)
    assert weights.sum() == pytest.approx(1.0)
    rng = np.random.default_rng(9)
    for other in rng.dirichlet(np.full(6, 0.5), 300):
        for step in (1.0, 0.1, 0.01):
            near = weights + step * (other - weights)
            assert utility(near, seed, held, cost) <= best + 1e-11


def test_mean_variance_without_costs_is_that_of_a_second_optimiser():
    returns = draw(4)
    zero = np.zeros(6)
    found = minimize(
        lambda w: -1e4 * utility(w, 4, zero, 0.0),
        np.full(6, 1 / 6),
        bounds=[(0.0, 1.0)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0},
        options={"ftol": 1e-14, "maxiter": 1_000},
    )
    np.testing.assert_allclose(optimise(returns, "mean_variance").weights, found.x, atol=1e-4)


@pytest.mark.parametrize("kind", ["mean_variance", "cvar"])
def test_high_costs_keep_what_is_held(kind: OptimiserKind):
    returns = draw(5)
    held = np.array([0.3, 0.1, 0.1, 0.2, 0.2, 0.1])
    free, dear = (optimise(returns, kind, held, cost).weights for cost in (0.0, 1e5))
    np.testing.assert_allclose(dear, held, atol=1e-5)
    assert np.abs(free - held).sum() > 0.2


@pytest.mark.parametrize("tail", [0.02, 0.05, 0.2])
def test_cvar_has_the_smallest_mean_of_its_worst_bars(tail: float):
    returns = draw(6)[-252:]
    weights = optimise(returns, "cvar", risk_aversion=1e5, tail=tail).weights

    def worst(chosen: np.ndarray) -> float:
        earned = np.sort(returns @ chosen)
        whole = int(tail * 252)
        return -float(earned[:whole].sum() + (tail * 252 - whole) * earned[whole]) / (tail * 252)

    for other in np.random.default_rng(0).dirichlet(np.ones(6), 300):
        for step in (1.0, 0.1, 0.01):
            assert worst(weights) <= worst(weights + step * (other - weights)) + 1e-8


@pytest.mark.parametrize("kind", ["mean_variance", "cvar"])
def test_where_nothing_rises_cash_may_be_held(kind: OptimiserKind):
    falling = draw(7) - 0.01
    assert optimise(falling, kind).weights.sum() == pytest.approx(1.0)
    assert optimise(falling, kind, is_fully_invested=False).weights.sum() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_long_and_known_from_the_window_alone(kind: OptimiserKind):
    returns = draw(8, bars=400)
    weights = optimise(returns, kind).weights
    assert (weights >= 0.0).all()
    assert weights.sum() == pytest.approx(1.0)
    older = returns.copy()
    older[:-252] = 0.3
    np.testing.assert_array_equal(optimise(older, kind).weights, weights)


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_that_cannot_be_judged_are_not_held(kind: OptimiserKind):
    returns = draw(9)
    returns[:-125, 0] = np.nan
    returns[-1, 2] = np.nan
    returns[:, 4] = 0.0
    found = optimise(returns, kind, held=np.full(3, 0.0).repeat(2)).weights
    assert found[[0, 2, 4]].tolist() == [0.0, 0.0, 0.0]
    rest = optimise(returns[:, [1, 3, 5]], kind, held=np.zeros(3)).weights
    np.testing.assert_array_equal(found[[1, 3, 5]], rest)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_history_nothing_is_held(kind: OptimiserKind):
    for bars in (0, 1, 125):
        found = optimise(draw(1, bars=bars), kind)
        assert (found.weights == 0.0).all()
        assert "enough returns" in found.replaced


@pytest.mark.parametrize(
    ("kind", "closed_form"),
    [
        ("mean_variance", minimum_variance),
        ("minimum_variance", minimum_variance),
        ("risk_parity", inverse_volatility),
        ("cvar", minimum_variance),
    ],
)
def test_a_search_that_fails_is_replaced_by_a_closed_form(
    kind: OptimiserKind, closed_form, monkeypatch: pytest.MonkeyPatch
):
    from skfolio.exceptions import OptimizationError
    from skfolio.optimization import MeanRisk, RiskBudgeting

    def fail(self: object, window: np.ndarray) -> None:
        raise OptimizationError("infeasible")

    for estimator in (MeanRisk, RiskBudgeting):
        monkeypatch.setattr(estimator, "fit", fail)
    returns = draw(10)
    found = optimise(returns, kind)
    assert found.replaced == f"{kind} was not solved: infeasible"
    np.testing.assert_allclose(found.weights, closed_form(shrunk(returns)), atol=1e-12)


def test_inputs_that_are_none_are_refused():
    returns, even, free = draw(0), np.full(6, 1 / 6), np.zeros(6)
    spec = OptimiserSpec(kind="mean_variance")
    with pytest.raises(DataError, match=r"expected \(T, N\), \(N,\) and \(N,\)"):
        optimise_weights(returns, even[1:], free, spec)
    with pytest.raises(DataError, match=r"expected \(T, N\), \(N,\) and \(N,\)"):
        optimise_weights(returns[:, 0], even, free, spec)
    for broken in (np.nan, np.inf):
        with pytest.raises(DataError, match="1 weights held not finite"):
            optimise_weights(returns, np.where(np.arange(6) == 1, broken, even), free, spec)
    for cost in (-1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="expected finite numbers that are not negative"):
            optimise_weights(returns, even, np.full(6, cost), spec)
    returns[3, 3] = np.inf
    with pytest.raises(DataError, match="1 returns were infinite"):
        optimise_weights(returns, even, free, spec)


@pytest.mark.parametrize(
    "closed_form", [minimum_variance, hierarchical_risk_parity, inverse_volatility]
)
def test_covariances_that_are_none_are_refused(closed_form):
    with pytest.raises(DataError, match="expected finite numbers, N by N"):
        closed_form(np.ones((2, 3)))
    with pytest.raises(DataError, match="expected finite numbers, N by N"):
        closed_form(np.diag([1.0, np.nan]))
    with pytest.raises(DataError, match="was not symmetric"):
        closed_form(np.array([[1.0, 0.5], [0.4, 1.0]]))
    for singular in (np.ones((2, 2)), np.diag([1.0, 0.0]), np.diag([1.0, -1.0])):
        with pytest.raises(DataError, match="expected all above 0"):
            closed_form(singular)
    assert closed_form(np.array([[2.0]])).tolist() == [1.0]


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "best"},
        {"least_bars": 300},
        {"risk_aversion": 0.0},
        {"tail": 0.5},
        {"holding_bars": 0},
        {"lookback_bars": 10},
    ],
)
def test_declarations_out_of_range_are_refused(values: dict[str, object]):
    with pytest.raises(ValidationError):
        OptimiserSpec.model_validate({"kind": "cvar", **values})


def test_skfolio_is_imported_when_weights_are_asked_for():
    program = (
        "import sys, trading_assets.risk.optimisers\n"
        "assert 'skfolio' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
