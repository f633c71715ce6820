"""When decided weights are traded, as a strategy's declaration says it, validated."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trading_assets.declared import Declared


class EveryBarSpec(Declared):
    """Every decision is traded."""

    kind: Literal["every_bar"] = Field(default="every_bar", description="Kind of rule.")


class WeeklySpec(Declared):
    """Only decisions that fill in the first session of a calendar week are traded."""

    kind: Literal["weekly"] = Field(description="Kind of rule.")


class NoTradeBandSpec(Declared):
    """Only symbols whose held weight has left a band around the decided one are traded."""

    kind: Literal["no_trade_band"] = Field(description="Kind of rule.")
    band: float = Field(
        gt=0, le=1, description="Largest |decided - held| weight of a symbol that is left alone."
    )
    trade_to: Literal["edge", "target"] = Field(
        description="Whether a symbol is traded to the band's edge or to the decided weight."
    )


def _spelled_out(value: Any) -> Any:  # noqa: ANN401  what a YAML file holds
    return {"kind": value} if isinstance(value, str) else value


RebalanceSpec = EveryBarSpec | WeeklySpec | NoTradeBandSpec

EVERY_BAR = EveryBarSpec()


def is_every_bar(rule: RebalanceSpec) -> bool:
    """Return whether a rule holds nothing back."""
    return isinstance(rule, EveryBarSpec)


DeclaredRebalance = Annotated[
    RebalanceSpec, Field(discriminator="kind"), BeforeValidator(_spelled_out)
]
"""A rule with its numbers, or its name alone."""
