import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from trading_assets.errors import DataError
from trading_assets.paper.almgren_chriss import (
    Horizon,
    LinearImpact,
    cost_variance_usd2,
    efficient_frontier,
    expected_cost_usd,
    optimal_holdings,
    urgency_per_session,
)

# The example of the paper's section on numbers: one million shares, five days, five trades.
PAPER = LinearImpact(0.95, 2.5e-7, 2.5e-6, 0.0625)
PAPER_HORIZON = Horizon(5.0, 5)
MILLION = 1e6

impacts = st.builds(
    LinearImpact,
    volatility_usd=st.floats(0.05, 5.0),
    permanent_usd=st.floats(0.0, 1e-6),
    temporary_usd=st.floats(2e-6, 1e-4),
    half_spread_usd=st.floats(0.0, 0.1),
)
horizons = st.builds(Horizon, sessions=st.floats(0.1, 3.0), slots=st.integers(2, 40))


def objective(holdings, horizon, impact, aversion):
    cost = expected_cost_usd(holdings, horizon, impact)
    return cost + aversion * cost_variance_usd2(holdings, horizon, impact)


def straight_line(horizon, shares=MILLION):
    return shares * (1.0 - np.arange(horizon.slots + 1) / horizon.slots)


def test_the_papers_example_has_its_urgency():
    # cosh(kappa) = 1 + 1e-6 * 0.95^2 / (2 * 2.375e-6) = 1.19, of which the paper gives 0.61 a day.
    kappa = urgency_per_session(PAPER_HORIZON, PAPER, 1e-6)
    assert kappa == pytest.approx(math.acosh(1.19), rel=1e-13)
    assert round(kappa, 2) == 0.61


def test_a_published_case_of_one_day_in_twenty_slots():
    impact, horizon = LinearImpact(2.0, 0.0, 2.5e-6), Horizon(1.0, 20)
    holdings = optimal_holdings(MILLION, horizon, impact, 1e-5)
    assert urgency_per_session(horizon, impact, 1e-5) == pytest.approx(3.99336, abs=5e-6)
    assert objective(holdings, horizon, impact, 1e-5) == pytest.approx(9.05671e6, rel=1e-6)
    assert objective(straight_line(horizon), horizon, impact, 1e-5) == pytest.approx(14.85e6)
    at_once = np.array([MILLION, *[0.0] * 20])
    assert objective(at_once, horizon, impact, 1e-5) == pytest.approx(50e6)
    assert holdings[10] / MILLION == pytest.approx(0.1333, abs=5e-5)


def test_cost_is_the_papers_closed_form():
    holdings = optimal_holdings(MILLION, PAPER_HORIZON, PAPER, 2e-6)
    trades = -np.diff(holdings)
    eta = 2.5e-6 - 0.5 * 2.5e-7
    expected = 0.5 * 2.5e-7 * MILLION**2 + 0.0625 * MILLION + eta * (trades**2).sum()
    assert expected_cost_usd(holdings, PAPER_HORIZON, PAPER) == pytest.approx(expected, rel=1e-13)


def test_the_straight_line_has_the_papers_variance():
    # A third of sigma^2 X^2 T (1 - 1/N) (1 - 1/2N).
    expected = 0.95**2 * MILLION**2 * 5.0 / 3.0 * (1 - 1 / 5) * (1 - 1 / 10)
    found = cost_variance_usd2(straight_line(PAPER_HORIZON), PAPER_HORIZON, PAPER)
    assert found == pytest.approx(expected, rel=1e-13)


@given(impacts, horizons, st.floats(-1e6, 1e6))
def test_without_risk_aversion_it_is_the_straight_line(impact, horizon, shares):
    holdings = optimal_holdings(shares, horizon, impact, 0.0)
    np.testing.assert_allclose(holdings, straight_line(horizon, shares), rtol=1e-12, atol=0)


@given(impacts, horizons)
def test_it_tends_to_the_straight_line_without_losing_digits(impact, horizon):
    holdings = optimal_holdings(1.0, horizon, impact, 1e-30)
    np.testing.assert_allclose(holdings, straight_line(horizon, 1.0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_it_is_what_a_numerical_optimum_finds(seed):
    rng = np.random.default_rng(seed)
    horizon = Horizon(float(rng.uniform(0.2, 5.0)), int(rng.integers(3, 25)))
    impact = LinearImpact(*rng.uniform([0.5, 0, 2e-6, 0], [3.0, 5e-7, 1e-5, 0.1]))
    aversion = float(10 ** rng.uniform(-7, -5))
    sigma, gamma, eta = impact.volatility_usd, impact.permanent_usd, impact.temporary_usd
    tau = horizon.sessions / horizon.slots

    def cost_of(middle):
        # In millions of shares and USD; the paper's eqs. 4, 5 and 7 term by term.
        x = np.array([1.0, *middle, 0.0])
        total, slope = 0.0, np.zeros_like(x)
        for k in range(1, len(x)):
            n = x[k - 1] - x[k]
            total += 1e6 * (gamma * n * x[k] + eta / tau * n**2)
            total += aversion * sigma**2 * tau * x[k] ** 2 * 1e6
            slope[k - 1] += 1e6 * (gamma * x[k] + 2 * eta / tau * n)
            slope[k] += 1e6 * (gamma * (n - x[k]) - 2 * eta / tau * n)
            slope[k] += 2 * aversion * sigma**2 * tau * x[k] * 1e6
        return total, slope[1:-1]

    start = np.linspace(1.0, 0.0, horizon.slots + 1)[1:-1]
    found = minimize(
        cost_of, start, jac=True, method="BFGS", options={"gtol": 1e-11, "maxiter": 10_000}
    )
    holdings = optimal_holdings(MILLION, horizon, impact, aversion)
    np.testing.assert_allclose(holdings[1:-1] / MILLION, found.x, atol=1e-6)
    spread = impact.half_spread_usd
    mine = objective(holdings, horizon, impact, aversion) / MILLION - spread
    assert mine == pytest.approx(found.fun, rel=1e-6)


@given(
    impacts,
    horizons,
    st.floats(1e-8, 1e-4),
    st.floats(1e3, 1e6),
    st.sampled_from([1, -1]),
    st.integers(0, 2**32 - 1),
)
def test_no_twap_nor_vwap_nor_other_trajectory_is_better(
    impact, horizon, aversion, shares, sign, seed
):
    rng = np.random.default_rng(seed)
    best = objective(
        optimal_holdings(sign * shares, horizon, impact, aversion), horizon, impact, aversion
    )
    profile = rng.dirichlet(np.full(horizon.slots, 2.0))
    left = np.append(1.0 - np.concatenate([[0.0], np.cumsum(profile)[:-1]]), 0.0)
    for other in (straight_line(horizon, sign * shares), sign * shares * left):
        assert best <= objective(other, horizon, impact, aversion) * (1 + 1e-12)


@given(impacts, horizons, st.integers(0, 2**32 - 1))
def test_vwap_has_the_least_temporary_impact_where_it_goes_by_volume(impact, horizon, seed):
    rng = np.random.default_rng(seed)
    only_temporary = LinearImpact(impact.volatility_usd, 0.0, impact.temporary_usd)
    profile = rng.dirichlet(np.full(horizon.slots, 2.0)) + 1e-6
    profile /= profile.sum()
    relative = profile * horizon.slots

    def cost(weights):
        left = MILLION * np.append(1.0 - np.concatenate([[0.0], np.cumsum(weights)[:-1]]), 0.0)
        return expected_cost_usd(left, horizon, only_temporary, relative)

    vwap = cost(profile)
    by_hand = impact.temporary_usd / horizon.sessions * MILLION**2
    assert vwap == pytest.approx(by_hand, rel=1e-9)
    for other in (np.full(horizon.slots, 1 / horizon.slots), rng.dirichlet(relative + 1.0)):
        assert vwap <= cost(other) * (1 + 1e-12)


def test_the_frontier_trades_cost_for_variance():
    points = efficient_frontier(MILLION, PAPER_HORIZON, PAPER, [0.0, 1e-7, 1e-6, 1e-5])
    costs = [point.expected_cost_usd for point in points]
    variances = [point.cost_variance_usd2 for point in points]
    assert costs == sorted(costs)
    assert variances == sorted(variances, reverse=True)
    assert len({*costs}) == len({*variances}) == 4
    # Its slope at a point is less the risk aversion there.
    near = efficient_frontier(MILLION, PAPER_HORIZON, PAPER, [0.999e-6, 1.001e-6])
    rise = near[1].expected_cost_usd - near[0].expected_cost_usd
    run = near[1].cost_variance_usd2 - near[0].cost_variance_usd2
    assert -rise / run == pytest.approx(1e-6, rel=1e-4)


def simulate_shortfall(trades, horizon, impact, n_paths, rng):
    """Sell along eqs. 1 and 2 price by price; return the shortfall of each path, USD."""
    tau = horizon.sessions / horizon.slots
    start = 50.0
    price, received = np.full(n_paths, start), np.zeros(n_paths)
    for n in trades:
        rate = n / tau
        got = price - impact.half_spread_usd * np.sign(n) - impact.temporary_usd * rate
        received += n * got
        noise = rng.standard_normal(n_paths)
        price += impact.volatility_usd * math.sqrt(tau) * noise - tau * impact.permanent_usd * rate
    return trades.sum() * start - received


@pytest.mark.parametrize("aversion", [0.0, 1e-6, 1e-5])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_simulated_shortfalls_have_the_formulas_mean_and_variance(aversion, sign):
    n_paths = 40_000
    rng = np.random.default_rng(20)
    holdings = optimal_holdings(sign * MILLION, PAPER_HORIZON, PAPER, aversion)
    check_sample(
        holdings, simulate_shortfall(-np.diff(holdings), PAPER_HORIZON, PAPER, n_paths, rng)
    )


def test_simulated_shortfalls_of_a_volume_profile_fit_too():
    rng = np.random.default_rng(21)
    holdings = MILLION * np.array([1.0, 0.65, 0.5, 0.38, 0.2, 0.0])
    check_sample(
        holdings, simulate_shortfall(-np.diff(holdings), PAPER_HORIZON, PAPER, 40_000, rng)
    )


def check_sample(holdings, shortfall):
    mean = expected_cost_usd(holdings, PAPER_HORIZON, PAPER)
    variance = cost_variance_usd2(holdings, PAPER_HORIZON, PAPER)
    n = len(shortfall)
    assert abs(shortfall.mean() - mean) < 4 * math.sqrt(variance / n)
    # Of a normal variable the sample variance has a relative error of sqrt(2 / (n - 1)).
    assert abs(shortfall.var(ddof=1) / variance - 1) < 4 * math.sqrt(2 / (n - 1))


def test_a_huge_urgency_does_not_overflow():
    impact = LinearImpact(1e6, 0.0, 1e-9)
    holdings = optimal_holdings(1.0, Horizon(100.0, 4), impact, 1e6)
    np.testing.assert_allclose(holdings, [1.0, 0.0, 0.0, 0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((-1.0, 0.0, 1e-6), "volatility_usd was -1.0"),
        ((1.0, math.nan, 1e-6), "permanent_usd was nan"),
        ((1.0, 0.0, 0.0), "temporary_usd was 0; expected it above 0"),
        ((1.0, 0.0, 1e-6, math.inf), "half_spread_usd was inf"),
    ],
)
def test_an_impact_that_cannot_be_is_refused(values, said):
    with pytest.raises(DataError, match=said):
        LinearImpact(*values)


def test_a_horizon_that_cannot_be_is_refused():
    with pytest.raises(DataError, match="the horizon was 0"):
        Horizon(0.0, 5)
    with pytest.raises(DataError, match="the horizon had 0 slots"):
        Horizon(1.0, 0)


@pytest.mark.parametrize("aversion", [-1e-6, math.nan, math.inf])
def test_a_risk_aversion_that_is_none_is_refused(aversion):
    with pytest.raises(DataError, match="risk_aversion_per_usd was"):
        optimal_holdings(1.0, PAPER_HORIZON, PAPER, aversion)


def test_permanent_impact_beyond_the_temporary_is_refused():
    with pytest.raises(DataError, match="use more slots"):
        optimal_holdings(1.0, Horizon(1.0, 1), LinearImpact(1.0, 2e-6, 1e-6), 1e-6)


def test_a_trajectory_that_does_not_end_is_refused():
    for holdings in ([1.0, 0.5, 0.1], [1.0, 0.0], [1.0, math.nan, 0.0]):
        with pytest.raises(DataError, match="3 finite numbers"):
            expected_cost_usd(np.array(holdings), Horizon(1.0, 2), PAPER)
    with pytest.raises(DataError, match="shares was nan"):
        optimal_holdings(math.nan, PAPER_HORIZON, PAPER, 0.0)


@pytest.mark.parametrize("volume", [[1.0], [1.0, 0.0], [1.0, math.nan]])
def test_a_relative_volume_that_is_none_is_refused(volume):
    holdings = np.array([1.0, 0.5, 0.0])
    with pytest.raises(DataError, match="relative_volume was of shape"):
        expected_cost_usd(holdings, Horizon(1.0, 2), PAPER, np.array(volume))
