"""What a strategy's declaration says of a constraint that agents learn to keep, validated."""

from typing import Literal

from pydantic import Field

from trading_assets.declared import Declared

Measure = Literal["position_variance", "turnover", "cost_bps", "drawdown_growth"]


class ConstraintSpec(Declared):
    """A limit on the mean of a measure over bars, kept by a multiplier that a controller sets."""

    measure: Measure = Field(
        description="position_variance: x' Sigma x of a bar; turnover: traded fraction of a bar;"
        " cost_bps: trading costs of a bar in basis points; drawdown_growth: growth of the"
        " drawdown in a bar, as a fraction."
    )
    limit: float = Field(gt=0, description="Largest mean of the measure a bar, in its own unit.")
    proportional_gain: float = Field(
        default=0.1, ge=0, description="Kp of the last rollouts' error, a share of the limit."
    )
    integral_gain: float = Field(default=0.01, ge=0, description="Ki of the sum of errors.")
    derivative_gain: float = Field(
        default=0.01, ge=0, description="Kd of what the error grew by, where it grew."
    )
    unit_charge_deviations: float = Field(
        default=0.01,
        gt=0,
        description="What a bar at the limit is charged at multiplier 1, in standard deviations of"
        " the market's bar (reward of order 1).",
    )
