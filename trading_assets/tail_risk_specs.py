"""The declaration of how the tail of returns is measured."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared

# Returns that a filter starts from: what they are divided by is not yet known well.
WARM_UP_BARS = 63
# Four parameters of GARCH need more than a year of days to be told apart.
LEAST_FITTED_BARS = 250

TailRiskMethod = Literal[
    "historical", "gaussian", "cornish_fisher", "ewma_filtered", "garch_filtered"
]


class TailRiskSpec(Declared):
    """Value at risk and expected shortfall: the method, the tail and what it is measured on."""

    method: TailRiskMethod = Field(
        default="ewma_filtered",
        description="How losses are measured; where it cannot be used, the result says by which.",
    )
    tail: float = Field(
        default=0.01,
        gt=0,
        lt=0.5,
        description="Probability of a loss beyond the value at risk: 0.01 for a level of 99 %.",
    )
    horizon_bars: int = Field(default=1, ge=1, le=63, description="Bars that a loss is made over.")
    window_bars: int = Field(
        default=1_000, ge=100, le=100_000, description="Last returns that are measured."
    )
    decay: float = Field(
        default=0.94, gt=0, lt=1, description="Share of the variance that a bar keeps (EWMA)."
    )
    refit_bars: int = Field(
        default=21, ge=1, description="Bars of a rolling forecast after which GARCH is fitted anew."
    )
    paths: int = Field(
        default=10_000,
        ge=1_000,
        le=1_000_000,
        description="Paths of filtered returns that a horizon of several bars is simulated by.",
    )

    @model_validator(mode="after")
    def _the_tail_is_reached(self) -> Self:
        least = self._least_window()
        if self.window_bars < least:
            msg = (
                f"window_bars was {self.window_bars} for {self.method} with tail {self.tail:g} and"
                f" horizon_bars {self.horizon_bars}; expected at least {least}, so that a loss lies"
                " in the tail: raise window_bars"
            )
            raise ValueError(msg)
        if self.paths * self.tail < 1.0:
            msg = (
                f"paths was {self.paths} with tail {self.tail:g}; expected one in the tail: raise"
                " paths"
            )
            raise ValueError(msg)
        return self

    def _least_window(self) -> int:
        in_tail = math.ceil(round(1.0 / self.tail, 9))
        if self.method in ("ewma_filtered", "garch_filtered"):
            least = in_tail + WARM_UP_BARS
            return max(least, LEAST_FITTED_BARS) if self.method == "garch_filtered" else least
        # What the other methods fall back on compounds runs of the horizon.
        return in_tail + self.horizon_bars - 1
