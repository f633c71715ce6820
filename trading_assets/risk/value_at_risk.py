"""The tail risk of a book by the method that was declared, or by what had to take its place."""

from collections.abc import Mapping
from dataclasses import dataclass

from trading_assets.risk.cornish_fisher import cornish_fisher_tail_risk
from trading_assets.risk.filtered_history import (
    Horizon,
    ewma_filtered_tail_risk,
    garch_filtered_tail_risk,
)
from trading_assets.risk.garch import GarchModel, fit_garch
from trading_assets.risk.return_samples import (
    InapplicableError,
    Series,
    require_returns,
)
from trading_assets.risk.tail_risk import TailRisk, gaussian_tail_risk, historical_tail_risk
from trading_assets.tail_risk_specs import TailRiskMethod, TailRiskSpec

# What takes the place of a method that cannot be used. A sample as it is always can.
NEXT_METHOD: Mapping[TailRiskMethod, TailRiskMethod] = {
    "garch_filtered": "ewma_filtered",
    "ewma_filtered": "historical",
    "cornish_fisher": "historical",
}


@dataclass(frozen=True, slots=True)
class Replaced:
    """A method that could not be used, and why.

    Attributes
    ----------
    method : str
        Its name.
    reason : str
        A sentence.
    """

    method: TailRiskMethod
    reason: str


@dataclass(frozen=True, slots=True)
class MeasuredTailRisk:
    """Tail risk, and how it was measured.

    Attributes
    ----------
    risk : TailRisk
        Losses as positive fractions.
    method : str
        Method that measured them.
    replaced : tuple of Replaced
        The declared method and those after it that could not be used, in order; empty where the
        declared one was.
    bars : int
        Returns that were measured.
    """

    risk: TailRisk
    method: TailRiskMethod
    replaced: tuple[Replaced, ...]
    bars: int


def measure_tail_risk(
    returns: Series, spec: TailRiskSpec, seed: int = 0, model: GarchModel | None = None
) -> MeasuredTailRisk:
    """Return the tail risk of the bars to come.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns up to and including the last close, oldest first; the last
        `spec.window_bars` are measured.
    spec : TailRiskSpec
        Method, tail and horizon.
    seed : int
        Of the paths that filtered methods draw over several bars.
    model : GarchModel, optional
        For `garch_filtered`: a model that was fitted before; without it one is fitted here.

    Raises
    ------
    DataError
        If there are fewer returns than the window, or one is not finite.
    """
    require_returns(returns, spec.window_bars)
    window = returns[-spec.window_bars :]
    method: TailRiskMethod = spec.method
    replaced: list[Replaced] = []
    while True:
        try:
            risk = _measured(method, window, spec, seed, model)
        except InapplicableError as error:
            replaced.append(Replaced(method, str(error)))
            method = NEXT_METHOD[method]
        else:
            return MeasuredTailRisk(risk, method, tuple(replaced), len(window))


def _measured(
    method: TailRiskMethod,
    window: Series,
    spec: TailRiskSpec,
    seed: int,
    model: GarchModel | None,
) -> TailRisk:
    horizon = Horizon(spec.horizon_bars, spec.paths, seed)
    match method:
        case "historical":
            return historical_tail_risk(window, spec.tail, spec.horizon_bars)
        case "gaussian":
            return gaussian_tail_risk(window, spec.tail, spec.horizon_bars)
        case "cornish_fisher":
            return cornish_fisher_tail_risk(window, spec.tail, spec.horizon_bars)
        case "ewma_filtered":
            return ewma_filtered_tail_risk(window, spec.tail, spec.decay, horizon)
        case "garch_filtered":
            fitted = fit_garch(window) if model is None else model
            return garch_filtered_tail_risk(window, spec.tail, fitted, horizon)
