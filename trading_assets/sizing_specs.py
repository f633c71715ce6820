"""The declarations of how large a position may be, where it is stopped, and what losses take."""

from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared


class SizingSpec(Declared):
    """Sizes that a position is held to; the smallest of them counts."""

    kelly_fraction: float = Field(
        default=0.25, gt=0, le=0.25, description="k of k mu / (sigma^2 + tau^2)."
    )
    target_volatility_annual: float = Field(
        default=0.10, gt=0, le=1, description="Annual volatility that a position is sized to."
    )
    max_leverage: float = Field(
        default=1.0, gt=0, le=10, description="Largest absolute weight, however calm the market."
    )
    decay: float = Field(
        default=0.94, gt=0, lt=1, description="Share of the variance that a bar keeps (EWMA)."
    )
    bars_per_year: int = Field(
        default=252, ge=1, description="Bars that an annual volatility counts."
    )


class StopSpec(Declared):
    """A stop at a multiple of the average true range."""

    multiple: float = Field(
        default=3.0, gt=0, le=20, description="Average true ranges from the close to the stop."
    )
    bars: int = Field(default=14, ge=1, le=252, description="Bars of Wilder's average.")
    tick_usd: Decimal = Field(
        default=Decimal("0.01"), gt=0, description="Smallest step of a stop's price."
    )


class DrawdownLadderSpec(Declared):
    """Losses from the highest equity at which trading is cut back, then ended."""

    half_size: float = Field(
        default=0.05, gt=0, lt=1, description="Drawdown from which targets are halved."
    )
    close_only: float = Field(
        default=0.08, gt=0, lt=1, description="Drawdown from which positions only shrink."
    )
    flat: float = Field(
        default=0.10, gt=0, lt=1, description="Drawdown at which everything is sold and killed."
    )

    @model_validator(mode="after")
    def _rungs_descend(self) -> Self:
        if not self.half_size < self.close_only < self.flat:
            msg = (
                f"half_size, close_only and flat were {self.half_size:g}, {self.close_only:g} and"
                f" {self.flat:g}; expected each larger than the one before"
            )
            raise ValueError(msg)
        return self
