"""The declaration of the rules by which a proprietary trading firm judges an account."""

from typing import Literal, Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared


class PropFirmSpec(Declared):
    """Rules of an evaluation account, losses and gains as fractions of the starting equity."""

    max_daily_loss: float = Field(
        gt=0,
        lt=1,
        description="Loss from one close to the next that ends the account.",
    )
    max_total_loss: float = Field(
        gt=0, lt=1, description="Loss from the reference of `total_loss` that ends the account."
    )
    total_loss: Literal["static", "trailing"] = Field(
        default="static",
        description="What the total loss is counted from: the start, or the highest close so far.",
    )
    profit_target: float = Field(gt=0, le=10, description="Gain at which the account has passed.")
    minimum_days: int = Field(
        default=0, ge=0, description="Sessions that have to be traded before it can pass."
    )
    days_allowed: int = Field(
        default=60, ge=1, le=1_000, description="Sessions within which it has to pass."
    )

    @model_validator(mode="after")
    def _rules_can_bind(self) -> Self:
        if self.max_daily_loss > self.max_total_loss:
            msg = (
                f"max_daily_loss was {self.max_daily_loss:g} with max_total_loss"
                f" {self.max_total_loss:g}; expected at most as much, since a day's loss counts"
                " toward the total one"
            )
            raise ValueError(msg)
        if self.minimum_days > self.days_allowed:
            msg = (
                f"minimum_days was {self.minimum_days} with days_allowed {self.days_allowed};"
                " expected at most as many, or no account could pass"
            )
            raise ValueError(msg)
        return self
