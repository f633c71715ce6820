"""What a strategy's declaration says of rewards, validated."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from trading_assets.declaration_mistakes import expected_names
from trading_assets.declared import Declared, Name
from trading_assets.errors import shown

Objective = Literal["return", "variance", "drawdown", "turnover"]
# On these scales a daily book's objectives are of like size.
DEFAULT_SCALES: Mapping[Objective, float] = {
    "return": 1.0,
    "variance": 2.5,
    "drawdown": 0.1,
    "turnover": 0.001,
}
OBSERVABLE_TRACKERS = (
    "bars_since_trade",
    "differential_sharpe",
    "drawdown",
    "recent_turnover",
    "tail_threshold",
    "trailing_return",
    "trailing_variance",
)

_Weight = Annotated[float, Field(ge=0, description="Factor on what is charged.")]
_Confidence = Annotated[
    float, Field(gt=0.5, lt=1, description="Share of bars with a smaller loss.")
]


class DrawdownPenaltySpec(Declared):
    """Charges what the drawdown grows by."""

    kind: Literal["drawdown"]
    weight: _Weight = 0.5


class TurnoverPenaltySpec(Declared):
    """Charges the traded fraction."""

    kind: Literal["turnover"]
    weight: _Weight = 0.001


class ValueAtRiskPenaltySpec(Declared):
    """Charges a value at risk above a limit."""

    kind: Literal["value_at_risk"]
    limit: float = Field(gt=0, description="Value at risk of a bar that is free, as a fraction.")
    weight: _Weight = 1.0
    confidence: _Confidence = 0.95
    half_life_bars: float = Field(
        default=20.0, gt=0, description="Bars in which half of the variance is forgotten."
    )


class ExpectedShortfallPenaltySpec(Declared):
    """Charges the mean loss of the worst bars."""

    kind: Literal["expected_shortfall"]
    weight: _Weight = 0.1
    confidence: _Confidence = 0.95
    memory_bars: float = Field(
        default=250.0, ge=20, description="Bars that the threshold's learning reaches back."
    )


PenaltySpec = Annotated[
    DrawdownPenaltySpec
    | TurnoverPenaltySpec
    | ValueAtRiskPenaltySpec
    | ExpectedShortfallPenaltySpec,
    Field(discriminator="kind"),
]


class PaidSpec(Declared):
    """What every reward declares."""

    penalties: tuple[PenaltySpec, ...] = Field(
        default=(), description="What the reward is reduced by."
    )


class MeanVarianceSpec(PaidSpec):
    """Net return less `(gamma / 2) x' Sigma x`; gamma is `policy.risk_aversion`."""

    kind: Literal["mean_variance"]


class LogWealthSpec(PaidSpec):
    """Logarithm of the account's growth."""

    kind: Literal["log_wealth"]


class DifferentialSharpeSpec(PaidSpec):
    """What a bar adds to the Sharpe ratio, by Moody and Saffell."""

    kind: Literal["differential_sharpe"]
    eta: float = Field(default=0.01, gt=0, le=0.5, description="Weight of the newest bar.")
    warm_up_bars: int = Field(
        default=50, ge=1, description="First bars of an account, which are paid nothing."
    )
    least_deviation: float = Field(
        default=0.001, gt=0, description="What a smaller deviation of a bar's return is taken for."
    )


class CompositeSpec(PaidSpec):
    """Risk-adjusted gains of each symbol, a bonus for confidence, less costs and penalties."""

    kind: Literal["composite"]
    confidence_bonus: float = Field(
        default=0.1, ge=0, description="Paid for a whole position that a certain forecast favours."
    )
    cost_weight: float = Field(default=1.0, ge=0, description="Factor on costs.")
    penalties: tuple[PenaltySpec, ...] = Field(
        default=(DrawdownPenaltySpec(kind="drawdown"),),
        description="What the reward is reduced by.",
    )


class MultiObjectiveSpec(PaidSpec):
    """Objectives weighed by a preference that training draws for each episode."""

    kind: Literal["multi_objective"]
    preference: dict[Objective, Annotated[float, Field(ge=0)]] = Field(
        min_length=2,
        description="Weight of each objective outside training, of their sum.",
    )
    scales: dict[Objective, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Factor on an objective, in place of its usual one."
    )
    concentration: float = Field(
        default=1.0,
        gt=0,
        le=1_000,
        description="Of the Dirichlet distribution drawn from; 1: all preferences alike.",
    )
    scalarisation: Literal["linear", "chebyshev"] = Field(
        default="linear",
        description="Weighted sum, or the objective whose mean is farthest from its best.",
    )
    best_return: float = Field(
        default=0.001, ge=0, description="Best mean return of a bar, for chebyshev; losses have 0."
    )

    @model_validator(mode="after")
    def _preferences_can_be_weighed(self) -> Self:
        if sum(self.preference.values()) <= 0.0:
            msg = "preference weighs nothing; expected at least one weight above 0"
            raise ValueError(msg)
        strangers = [name for name in self.scales if name not in self.preference]
        if strangers:
            msg = (
                f"scales names {', '.join(strangers)}; expected only objectives of preference,"
                f" {', '.join(self.preference)}"
            )
            raise ValueError(msg)
        return self


class OwnRewardSpec(PaidSpec):
    """A reward that a module of `policy.modules` registers."""

    kind: Literal["own"]
    name: Name = Field(description="Name it is registered under.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Passed to it by name, as they are."
    )


RewardSpec = (
    MeanVarianceSpec
    | LogWealthSpec
    | DifferentialSharpeSpec
    | CompositeSpec
    | MultiObjectiveSpec
    | OwnRewardSpec
)
ShortForm = Literal["mean_variance", "log_wealth", "differential_sharpe", "composite"]


def _spelled_out(value: Any) -> Any:  # noqa: ANN401  what a YAML file holds
    return {"kind": value} if isinstance(value, str) else value


DeclaredReward = Annotated[
    RewardSpec,
    Field(discriminator="kind"),
    BeforeValidator(
        _spelled_out,
        json_schema_input_type=ShortForm | Annotated[RewardSpec, Field(discriminator="kind")],
    ),
]


def require_payable(reward: RewardSpec, sizing: str, *, uses_forecasts: bool) -> None:
    """Refuse a reward that reads what the account or the policy does not have.

    Raises
    ------
    ValueError
        Saying what is missing.
    """
    if isinstance(reward, LogWealthSpec) and sizing != "equity":
        msg = (
            f"reward log_wealth was declared with sizing {sizing}; expected sizing equity, as the"
            " logarithm of an account is that of what its weights are fractions of"
        )
        raise ValueError(msg)
    if isinstance(reward, CompositeSpec) and reward.confidence_bonus > 0 and not uses_forecasts:
        msg = (
            "reward composite pays for the confidence of forecasts and uses_forecasts was false;"
            " expected uses_forecasts true, or confidence_bonus 0"
        )
        raise ValueError(msg)


def require_observable(names: tuple[str, ...], modules: tuple[str, ...]) -> None:
    """Refuse trackers that there are none of; those of modules are known when these are imported.

    Raises
    ------
    ValueError
        Naming the first one.
    """
    for name in names:
        if names.count(name) > 1:
            msg = f"observed_account names {name} more than once; expected each tracker once"
            raise ValueError(msg)
        if name not in OBSERVABLE_TRACKERS and not modules:
            expected = expected_names(name, OBSERVABLE_TRACKERS)
            msg = f"observed_account names {shown(name)}, which is no tracker; {expected}"
            raise ValueError(msg)
