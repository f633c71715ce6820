"""Tail risk forecast for each bar from the window before it, as it would have been at the time."""

from dataclasses import dataclass

import numpy as np

from trading_assets.errors import DataError
from trading_assets.risk.garch import GarchModel, fit_garch
from trading_assets.risk.return_samples import InapplicableError, Series, require_returns
from trading_assets.risk.value_at_risk import NEXT_METHOD, measure_tail_risk
from trading_assets.tail_risk_specs import TailRiskSpec


@dataclass(frozen=True, slots=True)
class RollingTailRisk:
    """Forecasts for T bars that are over and the one to come.

    Attributes
    ----------
    value_at_risk, expected_shortfall : float64 (T + 1,)
        Element t is known at the close before bar t and uses returns before t only; nan where the
        window before is not full.
    fits : int
        Times that a model was fitted, or tried to.
    replaced_bars : int
        Bars that the declared method could not be used for.
    """

    value_at_risk: Series
    expected_shortfall: Series
    fits: int
    replaced_bars: int


def forecast_tail_risk(returns: Series, spec: TailRiskSpec) -> RollingTailRisk:
    """Return forecasts of one bar for every bar after the first window.

    Element t is what `value_at_risk.measure_tail_risk` gives for the returns before t, but for
    `garch_filtered`: its model is fitted on the window of every `refit_bars`-th bar, and filters
    the windows of the bars from there to the next fit. Where no model was found, the next method
    takes its place until then.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns, oldest first.
    spec : TailRiskSpec
        Method, tail and window; its horizon is one bar.

    Raises
    ------
    DataError
        If the horizon is longer, there are fewer returns than a window, or one is not finite.
    """
    if spec.horizon_bars != 1:
        msg = (
            f"horizon_bars was {spec.horizon_bars}; expected 1, since forecasts that overlap cannot"
            " be held against one loss each"
        )
        raise DataError(msg)
    require_returns(returns, spec.window_bars)
    risk = np.full((2, len(returns) + 1), np.nan)
    fits = replaced = 0
    model: GarchModel | None = None
    used = spec
    for bar in range(spec.window_bars, len(returns) + 1):
        window = returns[bar - spec.window_bars : bar]
        is_due = (bar - spec.window_bars) % spec.refit_bars == 0
        if spec.method == "garch_filtered" and is_due:
            model, fits = _fitted(window), fits + 1
            method = spec.method if model is not None else NEXT_METHOD[spec.method]
            used = spec.model_copy(update={"method": method})
        measured = measure_tail_risk(window, used, model=model)
        risk[:, bar] = measured.risk.value_at_risk, measured.risk.expected_shortfall
        replaced += measured.method != spec.method
    return RollingTailRisk(risk[0], risk[1], fits, replaced)


def _fitted(window: Series) -> GarchModel | None:
    try:
        return fit_garch(window)
    except InapplicableError:
        return None
