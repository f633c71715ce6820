"""Whether contributions add up, and to what acts and serves."""

from trading_assets.forecast.forecast_attribution import ForecastAttributions
from trading_assets.integrated_gradients import COMPLETENESS_TOLERANCE
from trading_assets.policy.action_attribution import ActionAttributions
from trading_assets.policy.differentiable_policy import FORM_TOLERANCE


def form_problems(name: str, found: ActionAttributions | ForecastAttributions) -> list[str]:
    """Return what contradicts that contributions add up to what serves, one sentence each."""
    problems: list[str] = []
    if not found.completeness_error <= COMPLETENESS_TOLERANCE:
        problems.append(
            f"contributions to {name} miss its change by {100 * found.completeness_error:.2f} % of"
            f" the mean; expected at most {100 * COMPLETENESS_TOLERANCE:g} %"
        )
    if not found.form_gap <= FORM_TOLERANCE:
        problems.append(
            f"{name} as differentiated is {found.form_gap:.2g} from {name} as it serves; expected"
            f" at most {FORM_TOLERANCE:g}"
        )
    return problems


def form_figures(found: ActionAttributions | ForecastAttributions) -> dict[str, float]:
    """Return the evidence of an explanation under machine names."""
    return {"completeness_error": found.completeness_error, "form_gap": found.form_gap}
