"""The declarations of learning agents: one model for each algorithm, told apart by `algorithm`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from trading_assets.declared import Declared, Name
from trading_assets.encoder_specs import EncoderSpec

TeacherName = Literal["momentum", "myopic", "garleanu_pedersen"]

_CRITIC_STEPS, _MOST_CRITIC_SHARE = 40_000, 0.4
_WARM_TARGET_KL = 0.02


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
    patience: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Checkpoints in a row, of about eight, without a better score after which a training"
            " ends, if any."
        ),
    )
    encoder: EncoderSpec | None = Field(
        default=None,
        description="Network that windows of `policy.window_bars` pass first; absent, none.",
    )


class OnPolicySpec(AgentSpec):
    """What agents declare that learn from their newest rollout only."""

    n_envs: int = Field(default=32, ge=1, description="Environments stepped together.")
    n_steps: int = Field(default=64, ge=2, description="Steps of each environment in a rollout.")
    gae_lambda: float = Field(default=0.9, ge=0, le=1, description="Advantage smoothing.")
    log_std_init: float = Field(
        default=-1.5, description="Initial log standard deviation of actions."
    )


class WarmStartSpec(Declared):
    """A teacher that an actor imitates before it learns by trial."""

    teacher: TeacherName = Field(description="Rule that is imitated.")
    epochs: int = Field(default=30, ge=1, description="Passes over what the teacher did.")
    critic_steps: int | None = Field(
        default=None,
        ge=0,
        description=(
            "Environment steps in which the critic learns alone; 40,000 or 0.4 of total_steps,"
            " whichever is less, unless declared."
        ),
    )


class PpoSpec(OnPolicySpec):
    """Proximal policy optimisation."""

    algorithm: Literal["ppo"] = Field(default="ppo", description="Learning algorithm.")
    batch_size: int = Field(default=512, ge=32, description="Transitions of a gradient step.")
    n_epochs: int = Field(default=10, ge=1, description="Passes over a rollout.")
    target_kl: float | None = Field(
        default=None,
        gt=0,
        description=(
            "Divergence at which an update of a rollout ends, if any; 0.02 after a warm start"
            " unless declared."
        ),
    )
    warm_start: WarmStartSpec | None = Field(
        default=None, description="Teacher to start from and to fall back on, if any."
    )

    @model_validator(mode="after")
    def _actor_learns_too(self) -> Self:
        steps = None if self.warm_start is None else self.warm_start.critic_steps
        if steps is not None and steps >= self.total_steps:
            msg = (
                f"warm_start.critic_steps was {steps} of {self.total_steps} total_steps; expected"
                " fewer, as the actor learns after them only"
            )
            raise ValueError(msg)
        return self

    @property
    def critic_steps(self) -> int:
        """Environment steps in which the critic learns alone."""
        if self.warm_start is None:
            return 0
        if self.warm_start.critic_steps is not None:
            return self.warm_start.critic_steps
        return min(_CRITIC_STEPS, int(_MOST_CRITIC_SHARE * self.total_steps))

    @property
    def largest_kl(self) -> float | None:
        """Divergence at which an update of a rollout ends, if any."""
        if self.target_kl is None and self.warm_start is not None:
            return _WARM_TARGET_KL
        return self.target_kl


class MaskablePpoSpec(OnPolicySpec):
    """Proximal policy optimisation over a few levels of each weight, of which some are masked."""

    algorithm: Literal["maskable_ppo"] = Field(description="Learning algorithm.")
    batch_size: int = Field(default=512, ge=32, description="Transitions of a gradient step.")
    n_epochs: int = Field(default=10, ge=1, description="Passes over a rollout.")
    target_kl: float | None = Field(
        default=None, gt=0, description="Divergence at which an update of a rollout ends, if any."
    )
    levels: tuple[float, ...] = Field(
        default=(-1.0, -0.5, 0.0, 0.5, 1.0),
        min_length=2,
        description="Actions to choose from, ascending, as shares of the largest weight.",
    )


class RecurrentPpoSpec(OnPolicySpec):
    """Proximal policy optimisation with a memory that is carried from bar to bar."""

    algorithm: Literal["recurrent_ppo"] = Field(description="Learning algorithm.")
    batch_size: int = Field(default=512, ge=32, description="Transitions of a gradient step.")
    n_epochs: int = Field(default=5, ge=1, description="Passes over a rollout.")
    target_kl: float | None = Field(
        default=None, gt=0, description="Divergence at which an update of a rollout ends, if any."
    )
    memory_units: int = Field(default=16, ge=1, description="Units of the recurrent layer.")


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


class TeacherSpec(AgentSpec):
    """A network that imitates a rule, without any trial of its own."""

    algorithm: Literal["teacher"] = Field(description="Learning algorithm.")
    rule: TeacherName = Field(description="Rule that is imitated.")
    total_steps: int = Field(
        default=500_000, ge=1_000, description="Decisions of the rule read in one training."
    )
    learning_rate: float = Field(
        default=3e-3, gt=0, description="Initial step size, falling linearly to 0."
    )

    @model_validator(mode="after")
    def _has_no_encoder(self) -> Self:
        if self.encoder is not None:
            msg = (
                f"encoder {self.encoder.kind} was declared for a teacher, whose network has none;"
                " expected no encoder: leave it out"
            )
            raise ValueError(msg)
        return self


class OwnAgentSpec(AgentSpec):
    """A trainer that a module of `policy.modules` registers."""

    algorithm: Literal["own"] = Field(description="Learning algorithm.")
    name: Name = Field(description="Name it is registered under.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="What it reads of its own, as it is."
    )


def _algorithm_of(value: Any) -> str:  # noqa: ANN401  what a YAML file holds
    if isinstance(value, dict):
        return str(value.get("algorithm", "ppo"))
    return str(getattr(value, "algorithm", "ppo"))


DeclaredAgent = Annotated[
    Annotated[PpoSpec, Tag("ppo")]
    | Annotated[MaskablePpoSpec, Tag("maskable_ppo")]
    | Annotated[RecurrentPpoSpec, Tag("recurrent_ppo")]
    | Annotated[A2cSpec, Tag("a2c")]
    | Annotated[SacSpec, Tag("sac")]
    | Annotated[Td3Spec, Tag("td3")]
    | Annotated[DdpgSpec, Tag("ddpg")]
    | Annotated[DirectSpec, Tag("direct")]
    | Annotated[TeacherSpec, Tag("teacher")]
    | Annotated[OwnAgentSpec, Tag("own")],
    Discriminator(_algorithm_of),
]
"""Any agent; one that names no algorithm is `ppo`."""


def refusal_of(agent: AgentSpec, name: str, field: str) -> str | None:
    """Return why an agent cannot use what environments do in training only, or None if it can.

    Parameters
    ----------
    agent : AgentSpec
        The agent; trainers `direct` and one's own have no such environments.
    name : str
        Its name, for the message.
    field : str
        What was declared, such as `policy.constraint`.
    """
    if not isinstance(agent, (DirectSpec, OwnAgentSpec)):
        return None
    return (
        f"agent {name} has algorithm {agent.algorithm}, which cannot use {field}; expected one"
        f" of ppo, maskable_ppo, a2c, sac, td3, ddpg: declare {field} in a strategy without {name}"
    )
