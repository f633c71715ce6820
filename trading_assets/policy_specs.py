"""What a strategy's declaration says of its policies, validated."""

from typing import Literal, Self

from pydantic import Field, model_validator

from trading_assets.agent_specs import DeclaredAgent, refusal_of
from trading_assets.constraint_specs import ConstraintSpec
from trading_assets.declared import Declared, ModuleName, Name
from trading_assets.ensemble_specs import DeclaredEnsemble, MeanActionSpec
from trading_assets.randomisation_specs import RandomisationSpec
from trading_assets.reward_specs import (
    CompositeSpec,
    DeclaredReward,
    MeanVarianceSpec,
    require_observable,
    require_payable,
)
from trading_assets.search_specs import SearchSpec, require_searchable

# What all agents together are called, in tables and reports.
ALL_AGENTS = "ensemble"
ConfidenceSizing = Literal["none", "posterior_mean", "twice_confidence"]


class PolicySpec(Declared):
    """The agents, what they see and what they are paid for."""

    agents: dict[Name, DeclaredAgent] = Field(min_length=1, description="Agents by name.")
    fallback: Literal["equal_weight", "cash"] = Field(
        default="equal_weight", description="What trades until a challenger has passed every gate."
    )
    position: Literal["long_only", "long_short"] = Field(
        default="long_only", description="Whether weights may be negative."
    )
    sizing: Literal["equity", "constant_notional"] = Field(
        default="equity", description="What a weight is a fraction of."
    )
    observed_features: tuple[str, ...] = Field(
        default=(), description="Features shown to the policy beside forecasts and account."
    )
    window_bars: int = Field(
        default=1, ge=1, le=252, description="Bars of features and forecasts shown, newest last."
    )
    observed_account: tuple[Name, ...] = Field(
        default=(), description="Trackers of the account shown beside held weights and cash."
    )
    reward: DeclaredReward = Field(
        default=MeanVarianceSpec(kind="mean_variance"), description="Reward per bar."
    )
    risk_aversion: float = Field(
        default=5.0, ge=0, description="gamma of r - (gamma / 2) variance."
    )
    constraint: ConstraintSpec | None = Field(
        default=None, description="Limit on a mean of bars that agents learn to keep, if any."
    )
    randomisation: RandomisationSpec | None = Field(
        default=None, description="What training episodes draw anew, if anything."
    )
    uses_forecasts: bool = Field(default=True, description="Whether the policy observes forecasts.")
    ensemble: DeclaredEnsemble = Field(
        default_factory=MeanActionSpec, description="How the members are weighed that trade."
    )
    search: dict[Name, SearchSpec] = Field(
        default_factory=dict, description="Searches of parameters, by agent."
    )
    confidence_sizing: ConfidenceSizing = Field(
        default="posterior_mean",
        description="How weights are reduced where a forecast is uncertain.",
    )
    ablation: Literal["none", "forecasts"] = Field(
        default="none",
        description="What every agent is trained without as well, to measure what it adds.",
    )
    modules: tuple[ModuleName, ...] = Field(
        default=(), description="Python modules with agents, rewards and trackers of one's own."
    )

    @model_validator(mode="after")
    def _rewards_can_be_paid(self) -> Self:
        require_payable(self.reward, self.sizing, uses_forecasts=self.uses_forecasts)
        if self.confidence_sizing == "twice_confidence" and not self.uses_forecasts:
            msg = (
                "confidence_sizing was twice_confidence and uses_forecasts false; expected"
                " uses_forecasts true, or another confidence_sizing"
            )
            raise ValueError(msg)
        require_observable(self.observed_account, self.modules)
        require_searchable(self.search, self.agents)
        return self

    @model_validator(mode="after")
    def _no_agent_has_the_name_of_all(self) -> Self:
        if ALL_AGENTS in self.agents:
            msg = (
                f"agents had one named {ALL_AGENTS}, which is what all of them together are called;"
                " expected another name"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _an_ablation_leaves_an_agent(self) -> Self:
        if self.ablation == "none":
            return self
        if not self.uses_forecasts:
            msg = (
                "ablation was forecasts and uses_forecasts false; expected uses_forecasts true, or"
                " ablation none, as there is nothing to leave out"
            )
            raise ValueError(msg)
        if not self.observed_features:
            msg = (
                "ablation was forecasts without observed_features; expected a feature there, or"
                " ablation none, as an agent without forecasts would see its account alone"
            )
            raise ValueError(msg)
        if isinstance(self.reward, CompositeSpec) and self.reward.confidence_bonus > 0:
            msg = (
                "ablation was forecasts and reward composite pays for the confidence of forecasts;"
                " expected confidence_bonus 0, or ablation none, as arms that are paid otherwise"
                " cannot be compared"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _encoders_have_windows(self) -> Self:
        for name, agent in self.agents.items():
            if agent.encoder is None or self.window_bars >= agent.encoder.least_window_bars:
                continue
            msg = (
                f"window_bars was {self.window_bars} and the {agent.encoder.kind} encoder of agent"
                f" {name} needs windows; expected at least {agent.encoder.least_window_bars}"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _agents_can_use_what_is_declared(self) -> Self:
        declared = [f for f in ("constraint", "randomisation") if getattr(self, f) is not None]
        for field in declared:
            for name, agent in self.agents.items():
                msg = refusal_of(agent, name, f"policy.{field}")
                if msg is not None:
                    raise ValueError(msg)
        return self
