"""What a strategy's declaration says of what training episodes draw anew, validated."""

from typing import Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared


class RandomisationSpec(Declared):
    """What each training episode draws; validation, backtest and paper use declared values."""

    cost_factor: tuple[float, float] | None = Field(
        default=None,
        description="Least and largest factor on all declared costs, drawn log-uniformly, if any.",
    )
    start_weights: bool = Field(
        default=False, description="Whether episodes start with random weights in place of cash."
    )
    latency: bool = Field(
        default=False, description="Whether the latency is drawn from 1 to costs.latency_bars."
    )

    @model_validator(mode="after")
    def _factors_ascend(self) -> Self:
        if self.cost_factor is not None:
            low, high = self.cost_factor
            if not 0.0 < low <= high < float("inf"):
                msg = (
                    f"cost_factor was {low:g} to {high:g}; expected two finite factors above 0,"
                    " the smaller one first"
                )
                raise ValueError(msg)
        return self
