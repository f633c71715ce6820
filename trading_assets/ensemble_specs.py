"""How a strategy's declaration weighs the members of an ensemble, validated."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from trading_assets.declared import Declared

EnsembleRule = Literal["mean_action", "trailing_sharpe", "exponentiated_gradient"]


class MeanActionSpec(Declared):
    """Every member weighs the same."""

    rule: Literal["mean_action"] = Field(default="mean_action", description="Rule of the weights.")


class TrailingSharpeSpec(Declared):
    """All seeds of the agent with the best Sharpe ratio on the validation window, no other."""

    rule: Literal["trailing_sharpe"] = Field(description="Rule of the weights.")


class ExponentiatedGradientSpec(Declared):
    """Weights that grow with what each member earned, bar by bar, on the validation window."""

    rule: Literal["exponentiated_gradient"] = Field(description="Rule of the weights.")
    learning_rate: float = Field(
        default=0.2,
        gt=0,
        le=10,
        description="eta of w exp(eta u), u in standard deviations of a bar's reward.",
    )
    floor: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Least weight of a member; where an equal share is less, that.",
    )


def _spelled_out(value: Any) -> Any:  # noqa: ANN401  what a YAML file holds
    return {"rule": value} if isinstance(value, str) else value


def _rule_of(value: Any) -> str:  # noqa: ANN401  what a YAML file holds
    if isinstance(value, dict):
        return str(value.get("rule", "mean_action"))
    return str(getattr(value, "rule", "mean_action"))


DeclaredEnsemble = Annotated[
    Annotated[MeanActionSpec, Tag("mean_action")]
    | Annotated[TrailingSharpeSpec, Tag("trailing_sharpe")]
    | Annotated[ExponentiatedGradientSpec, Tag("exponentiated_gradient")],
    Discriminator(_rule_of),
    BeforeValidator(_spelled_out),
]
"""A rule with its numbers, or its name alone."""
