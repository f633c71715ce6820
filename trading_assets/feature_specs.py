"""What a strategy's declaration says of its features, validated."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from trading_assets.declared import Declared
from trading_assets.errors import shown

LEAST_SCALE_BARS = 20


class FeatureCall(Declared):
    """A family of features with its numbers, such as `{name: rsi, bars: 9}`."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="Name of the family.")

    @model_validator(mode="after")
    def _parameters_are_whole(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if type(value) is not int:
                msg = f"{name} was {shown(value)}; expected a whole number"
                raise ValueError(msg)
        return self

    @property
    def parameters(self) -> dict[str, int]:
        """The numbers by their names."""
        return dict(self.model_extra or {})


class FeaturesSpec(Declared):
    """Which features are computed."""

    names: tuple[str | FeatureCall, ...] | Literal["all"] = Field(
        default="all",
        description="Names or groups of the catalogue, families with numbers, or `all`.",
    )
    module: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$",
        description="Python module with features of one's own.",
    )
    scale_bars: int = Field(
        default=252,
        ge=LEAST_SCALE_BARS,
        description="Bars of the causal rolling median and MAD used for scaling.",
    )
