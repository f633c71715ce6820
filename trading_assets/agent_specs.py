"""The declarations of learning agents: one model for each algorithm, told apart by `algorithm`."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from trading_assets.declared import Declared


class AgentSpec(Declared):
    """What every learned trading agent declares."""

    seeds: int = Field(
        default=3, ge=1, le=32, description="Independent trainings; the ensemble averages."
    )
    total_steps: int = Field(
        default=60_000, ge=1_000, description="Environment steps of one training."
    )
    discount: float = Field(default=0.95, gt=0, lt=1, description="Discount per bar.")
    learning_rate: float = Field(
        default=1e-3, gt=0, description="Initial step size, falling linearly to 0."
    )
    hidden_units: int = Field(
        default=32, ge=4, description="Units of each of the two hidden layers."
    )
    episode_bars: int = Field(default=128, ge=8, description="Bars of a training episode.")


class OnPolicySpec(AgentSpec):
    """What agents declare that learn from their newest rollout only."""

    n_envs: int = Field(default=32, ge=1, description="Environments stepped together.")
    n_steps: int = Field(default=64, ge=2, description="Steps of each environment in a rollout.")
    gae_lambda: float = Field(default=0.9, ge=0, le=1, description="Advantage smoothing.")
    log_std_init: float = Field(
        default=-1.5, description="Initial log standard deviation of actions."
    )


class PpoSpec(OnPolicySpec):
    """Proximal policy optimisation."""

    algorithm: Literal["ppo"] = Field(default="ppo", description="Learning algorithm.")
    batch_size: int = Field(default=512, ge=32, description="Transitions of a gradient step.")
    n_epochs: int = Field(default=10, ge=1, description="Passes over a rollout.")
    target_kl: float | None = Field(
        default=None, gt=0, description="Divergence at which an update of a rollout ends, if any."
    )


class A2cSpec(OnPolicySpec):
    """Advantage actor-critic: one gradient step a rollout."""

    algorithm: Literal["a2c"] = Field(description="Learning algorithm.")
    n_envs: int = Field(default=64, ge=1, description="Environments stepped together.")
    n_steps: int = Field(default=16, ge=2, description="Steps of each environment in a rollout.")


class OffPolicySpec(AgentSpec):
    """What agents declare that learn from a memory of transitions."""

    n_envs: int = Field(default=64, ge=1, description="Environments stepped together.")
    batch_size: int = Field(default=1024, ge=32, description="Transitions of a gradient step.")
    buffer_size: int = Field(default=200_000, ge=1_000, description="Transitions remembered.")
    learning_starts: int = Field(
        default=5_000, ge=1, description="Steps of random actions before learning."
    )
    gradient_steps: int = Field(
        default=4, ge=1, description="Gradient steps for each step of all environments."
    )
    tau: float = Field(default=0.01, gt=0, le=1, description="Share by which targets follow.")


class SacSpec(OffPolicySpec):
    """Soft actor-critic."""

    algorithm: Literal["sac"] = Field(description="Learning algorithm.")


class Td3Spec(OffPolicySpec):
    """Twin delayed deterministic policy gradient."""

    algorithm: Literal["td3"] = Field(description="Learning algorithm.")
    action_noise: float = Field(
        default=0.2, gt=0, description="Standard deviation of exploration noise on actions."
    )


class DdpgSpec(OffPolicySpec):
    """Deep deterministic policy gradient."""

    algorithm: Literal["ddpg"] = Field(description="Learning algorithm.")
    action_noise: float = Field(
        default=0.2, gt=0, description="Standard deviation of exploration noise on actions."
    )


class DirectSpec(AgentSpec):
    """Gradient ascent through a differentiable simulator."""

    algorithm: Literal["direct"] = Field(description="Learning algorithm.")
    total_steps: int = Field(
        default=800_000, ge=1_000, description="Bars that all paths take in one training."
    )
    learning_rate: float = Field(
        default=3e-3, gt=0, description="Initial step size, falling linearly to 0."
    )
    paths: int = Field(default=256, ge=1, description="Paths of a gradient step.")
    unroll_bars: int = Field(default=32, ge=2, description="Bars that a gradient reaches back.")


def _algorithm_of(value: Any) -> str:  # noqa: ANN401  what a YAML file holds
    if isinstance(value, dict):
        return str(value.get("algorithm", "ppo"))
    return str(getattr(value, "algorithm", "ppo"))


DeclaredAgent = Annotated[
    Annotated[PpoSpec, Tag("ppo")]
    | Annotated[A2cSpec, Tag("a2c")]
    | Annotated[SacSpec, Tag("sac")]
    | Annotated[Td3Spec, Tag("td3")]
    | Annotated[DdpgSpec, Tag("ddpg")]
    | Annotated[DirectSpec, Tag("direct")],
    Discriminator(_algorithm_of),
]
"""Any agent; one that names no algorithm is `ppo`."""
