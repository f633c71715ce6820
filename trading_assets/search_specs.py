"""What a strategy's declaration says of searching an agent's parameters, validated."""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from trading_assets.agent_specs import AgentSpec
from trading_assets.declaration_mistakes import expected_names
from trading_assets.declared import Declared, Name
from trading_assets.errors import shown

# What is searched with is declared beside the ranges, and another algorithm is another agent.
_FIXED = frozenset({"algorithm", "seeds", "name", "parameters"})

Number = TypeVar("Number", int, float)


class _RangeSpec(Declared, Generic[Number]):
    low: Number = Field(description="Least value.")
    high: Number = Field(description="Largest value.")
    log: bool = Field(default=False, description="Whether values are drawn on a logarithmic scale.")

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> Self:
        if not self.low < self.high:
            msg = f"low {self.low:g} is not below high {self.high:g}; expected it below"
            raise ValueError(msg)
        if self.log and self.low <= 0:
            msg = f"low was {self.low:g} with log; expected it above 0"
            raise ValueError(msg)
        return self

    @property
    def tried(self) -> tuple[Number, ...]:
        """Values that have to fit the field."""
        return (self.low, self.high)


class FloatRangeSpec(_RangeSpec[float]):
    """Numbers between two ends."""

    kind: Literal["float"]


class IntRangeSpec(_RangeSpec[int]):
    """Whole numbers between two ends, both included."""

    kind: Literal["int"]


class ChoiceSpec(Declared):
    """A few values without order."""

    kind: Literal["choice"]
    values: tuple[bool | int | float | str | None, ...] = Field(
        min_length=2, description="Values to choose from."
    )

    @property
    def tried(self) -> tuple[bool | int | float | str | None, ...]:
        """Values that have to fit the field."""
        return self.values


ParameterSpec = Annotated[
    FloatRangeSpec | IntRangeSpec | ChoiceSpec,
    Field(discriminator="kind"),
]


class SearchSpec(Declared):
    """A search of one agent's parameters by `trading-assets search`."""

    parameters: dict[str, ParameterSpec] = Field(
        min_length=1, description="Ranges by field of the agent's declaration."
    )
    trials: int = Field(default=20, ge=1, le=10_000, description="Trials of one command.")
    seeds: int = Field(default=3, ge=1, le=32, description="Trainings of a trial.")
    prune: bool = Field(
        default=True,
        description="Whether a trial ends whose checkpoints are below the median of the others'.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the draws.")


def require_searchable(search: Mapping[Name, SearchSpec], agents: Mapping[Name, AgentSpec]) -> None:
    """Refuse a search of an agent that is not declared, or of values that its fields refuse.

    Raises
    ------
    ValueError
        Naming the agent, the field and the value.
    """
    for agent, spec in search.items():
        if agent not in agents:
            msg = f"search names the agent {agent!r}; {expected_names(agent, agents)}"
            raise ValueError(msg)
        fields = set(type(agents[agent]).model_fields) - _FIXED
        for field, values in spec.parameters.items():
            if field not in fields:
                msg = (
                    f"search of {agent} names the field {field!r}; {expected_names(field, fields)}"
                )
                raise ValueError(msg)
            for value in values.tried:
                _require_fits(agent, agents[agent], field, value)


def with_parameters(agent: AgentSpec, values: Mapping[str, Any]) -> AgentSpec:
    """Return an agent with other values of some fields.

    Raises
    ------
    ValidationError
        If a value, or the values together, do not fit.
    """
    return type(agent).model_validate({**agent.model_dump(), **values})


def _require_fits(agent: str, spec: AgentSpec, field: str, value: Any) -> None:  # noqa: ANN401
    try:
        with_parameters(spec, {field: value})
    except ValidationError as error:
        told = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        msg = f"search of {agent}: {field} {shown(value)} is refused ({told}); narrow the range"
        raise ValueError(msg) from error
