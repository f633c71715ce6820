"""GARCH with Student's t, held against arch's own filter and the model returns came from."""

import math
import subprocess
import sys

import numpy as np
import pytest
from arch import arch_model

from trading_assets.errors import DataError
from trading_assets.risk.garch import GarchModel, fit_garch
from trading_assets.risk.return_samples import InapplicableError
from trading_assets_tests.risk.return_paths import ALPHA, BETA, DEVIATION, FREEDOM, garch_returns

MODEL = GarchModel(0.0002, 2e-6, 0.1, 0.88, 6.0, 3e-4)


def test_the_model_that_returns_came_from_is_found():
    found = fit_garch(garch_returns(0, 20_000))
    assert found.alpha == pytest.approx(ALPHA, abs=0.02)
    assert found.beta == pytest.approx(BETA, abs=0.025)
    assert found.degrees_of_freedom == pytest.approx(FREEDOM, abs=0.7)
    lasting = found.omega / (1.0 - found.alpha - found.beta)
    assert math.sqrt(lasting) == pytest.approx(DEVIATION, rel=0.1)


def test_the_filter_is_that_of_arch():
    returns = garch_returns(1, 1_500)
    scale = returns.std(ddof=1)
    fitted = arch_model(returns / scale, mean="Constant", dist="t", rescale=False).fit(disp="off")
    model = fit_garch(returns)
    found = model.filter_variance(returns)
    # They start otherwise, which is forgotten.
    np.testing.assert_allclose(
        np.sqrt(found[400:-1]), scale * fitted.conditional_volatility[400:], rtol=1e-6
    )
    to_come = fitted.forecast(horizon=1).variance.to_numpy()[-1, 0]
    assert found[-1] == pytest.approx(scale**2 * to_come, rel=1e-6)
    assert model.mean == pytest.approx(scale * fitted.params["mu"])


def test_the_filter_is_the_recursion_of_the_model():
    returns = garch_returns(2, 50)
    variance = 3e-4
    expected = [variance]
    for earned in returns:
        variance = 2e-6 + 0.1 * (earned - 0.0002) ** 2 + 0.88 * variance
        expected.append(variance)
    np.testing.assert_allclose(MODEL.filter_variance(returns), expected, rtol=1e-12)


@pytest.mark.parametrize("bar", [1, 120, 299])
def test_variance_of_a_bar_does_not_change_with_the_bar_or_later_ones(bar: int):
    returns = garch_returns(3, 300)
    altered = returns.copy()
    altered[bar:] = -0.5
    found, again = MODEL.filter_variance(returns), MODEL.filter_variance(altered)
    np.testing.assert_array_equal(found[: bar + 1], again[: bar + 1])


def test_a_model_does_not_depend_on_the_unit():
    returns = garch_returns(4, 1_000)
    percent, fraction = fit_garch(100.0 * returns), fit_garch(returns)
    assert percent.alpha == pytest.approx(fraction.alpha, rel=1e-6)
    assert percent.omega == pytest.approx(1e4 * fraction.omega, rel=1e-6)


@pytest.mark.parametrize("returns", [np.zeros(400), np.full(400, 0.01)])
def test_what_never_moves_has_no_model(returns: np.ndarray):
    with pytest.raises(InapplicableError, match="expected some that move"):
        fit_garch(returns)


def test_a_variance_that_explodes_has_no_model():
    growing = garch_returns(5, 500) * np.exp(np.linspace(0.0, 25.0, 500))
    with pytest.raises(InapplicableError, match="ended with flag"):
        fit_garch(growing)


def test_too_few_or_broken_returns_are_refused():
    with pytest.raises(DataError, match="249 returns were given; expected at least 250"):
        fit_garch(garch_returns(0, 249))
    holed = garch_returns(0, 300)
    holed[10] = math.nan
    with pytest.raises(DataError, match="1 of 300 returns were not finite"):
        fit_garch(holed)
    with pytest.raises(DataError, match="1 of 300 returns were not finite"):
        MODEL.filter_variance(holed)


@pytest.mark.parametrize(
    "numbers",
    [
        (math.nan, 1e-6, 0.1, 0.8, 6.0, 1e-4),
        (0.0, 0.0, 0.1, 0.8, 6.0, 1e-4),
        (0.0, -1e-6, 0.1, 0.8, 6.0, 1e-4),
        (0.0, 1e-6, -0.1, 0.8, 6.0, 1e-4),
        (0.0, 1e-6, 0.1, -0.1, 6.0, 1e-4),
        (0.0, 1e-6, 0.21, 0.8, 6.0, 1e-4),
        (0.0, 1e-6, 0.1, 0.8, 2.0, 1e-4),
        (0.0, math.inf, 0.1, 0.8, 6.0, 1e-4),
        (0.0, 1e-6, 0.1, 0.8, 6.0, 0.0),
        (0.0, 1e-6, 0.1, 0.8, 6.0, math.nan),
    ],
)
def test_numbers_that_are_no_model_are_refused(numbers: tuple[float, ...]):
    with pytest.raises(DataError, match="expected finite numbers, variances above 0"):
        GarchModel(*numbers)


def test_arch_is_imported_when_a_model_is_fitted():
    program = (
        "import sys, trading_assets.risk.rolling_tail_risk\n"
        "assert 'arch' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
