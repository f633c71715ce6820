"""The declaration of weights by optimisation, validated."""

from typing import Literal, Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared

OptimiserKind = Literal[
    "mean_variance", "minimum_variance", "risk_parity", "hierarchical_risk_parity", "cvar"
]


class OptimiserSpec(Declared):
    """Long-only weights of least risk, or of the best of return, risk and cost."""

    kind: OptimiserKind = Field(description="What is optimised.")
    lookback_bars: int = Field(
        default=252, ge=30, le=5_000, description="Last returns that it is fitted on."
    )
    least_bars: int = Field(
        default=126, ge=30, description="Returns among them that a symbol needs to be held."
    )
    risk_aversion: float = Field(
        default=5.0,
        gt=0,
        description="gamma of r - (gamma / 2) variance, or of r - gamma CVaR; else not read.",
    )
    tail: float = Field(
        default=0.05, gt=0, lt=0.5, description="Share of the worst bars that CVaR is the mean of."
    )
    holding_bars: int = Field(
        default=21, ge=1, description="Bars that a trade's cost is spread over: until the next one."
    )
    is_fully_invested: bool = Field(
        default=True, description="Whether weights sum to 1; if not, at most to 1."
    )

    @model_validator(mode="after")
    def _the_window_holds_what_is_needed(self) -> Self:
        if self.least_bars > self.lookback_bars:
            msg = (
                f"least_bars was {self.least_bars} of {self.lookback_bars} lookback_bars; expected"
                " at most as many"
            )
            raise ValueError(msg)
        return self
