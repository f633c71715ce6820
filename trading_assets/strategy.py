"""The declaration of a strategy, validated.

Each model here is plain pydantic. Nothing in this module knows Dagster, reads a file or looks at
the environment; `trading_assets.declarations` finds and parses the YAML files.
"""

from collections.abc import Mapping
from typing import Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from trading_assets.declared import CoveredDay, Declared, Name, Overlays
from trading_assets.errors import UserError, shown
from trading_assets.feature_specs import FeaturesSpec

Sized = TypeVar("Sized", bound=Declared)


class CostsSpec(Declared):
    """What a dollar traded costs."""

    fee_bps: float = Field(
        default=1.0, ge=0, description="Commission, basis points of traded notional."
    )
    half_spread_bps: float = Field(
        default=2.0, ge=0, description="Half of the quoted spread, basis points of traded notional."
    )
    impact_coefficient: float = Field(
        default=0.0,
        ge=0,
        description="Y of the square-root law: Y x daily volatility x sqrt(share of ADV).",
    )
    quadratic_lambda: float = Field(
        default=0.0,
        ge=0,
        description="lam of (lam / 2) sigma^2 dx^2 on constant notional (world W1).",
    )
    financing_bps_per_year: float = Field(
        default=0.0, ge=0, description="Interest on negative cash, basis points a year."
    )
    borrow_bps_per_year: float = Field(
        default=0.0, ge=0, description="Fee on short positions, basis points a year."
    )
    max_participation: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Largest share of a bar's volume that is filled, the rest lapses; 0: no cap.",
    )
    latency_bars: int = Field(
        default=1,
        ge=1,
        le=20,
        description="Bars from the close of a decision to the open that fills it.",
    )
    lot_shares: float = Field(
        default=0.0, ge=0, description="Smallest tradable quantity; 0 allows 1e-9 shares."
    )
    tick_usd: float = Field(
        default=0.0, ge=0, description="Smallest price step; 0 leaves prices as given."
    )


class ForecastSpec(Declared):
    """The forecaster: labels, network and its training."""

    horizon_bars: int = Field(default=5, ge=1, le=63, description="Bars a label looks ahead.")
    window_bars: int = Field(default=60, ge=4, le=252, description="Bars the network sees.")
    hidden_units: int = Field(default=16, ge=4, le=256, description="Channels and LSTM units.")
    epochs: int = Field(default=3, ge=1, description="Passes over the train window.")
    batch_size: int = Field(default=256, ge=8, description="Windows a gradient step.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Adam's step size.")
    cross_fit_parts: int = Field(
        default=2,
        ge=2,
        description="Parts of the train window, each predicted by a model of the others.",
    )
    clip_quantile: float = Field(
        default=0.001,
        ge=0,
        lt=0.5,
        description="Share of train rows below and above that inputs are clipped to; 0: no clip.",
    )
    principal_components: int = Field(
        default=0, ge=0, description="Components of the inputs the models see; 0: the inputs."
    )
    fractional_difference: bool = Field(
        default=False,
        description="Whether the fractional difference of log prices is one more input.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of weights and batches.")


class AgentSpec(Declared):
    """One learned trading agent."""

    algorithm: Literal["ppo"] = Field(default="ppo", description="Learning algorithm.")
    seeds: int = Field(
        default=3, ge=1, le=32, description="Independent trainings; the ensemble averages."
    )
    total_steps: int = Field(
        default=60_000, ge=1_000, description="Environment steps of one training."
    )
    n_envs: int = Field(default=32, ge=1, description="Environments stepped together.")
    n_steps: int = Field(default=64, ge=2, description="Steps of each environment in a rollout.")
    batch_size: int = Field(default=512, ge=32, description="Transitions of a gradient step.")
    n_epochs: int = Field(default=10, ge=1, description="Passes over a rollout.")
    learning_rate: float = Field(
        default=1e-3, gt=0, description="Initial step size, falling linearly to 0."
    )
    discount: float = Field(default=0.95, gt=0, lt=1, description="Discount per bar.")
    gae_lambda: float = Field(default=0.9, ge=0, le=1, description="Advantage smoothing.")
    log_std_init: float = Field(
        default=-1.5, description="Initial log standard deviation of actions."
    )
    hidden_units: int = Field(
        default=32, ge=4, description="Units of each of the two hidden layers."
    )
    episode_bars: int = Field(default=128, ge=8, description="Bars of a training episode.")


class PolicySpec(Declared):
    """The agents, what they see and what they are paid for."""

    agents: dict[Name, AgentSpec] = Field(min_length=1, description="Agents by name.")
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
    reward: Literal["mean_variance"] = Field(default="mean_variance", description="Reward per bar.")
    risk_aversion: float = Field(
        default=5.0, ge=0, description="gamma of r - (gamma / 2) variance."
    )
    uses_forecasts: bool = Field(default=True, description="Whether the policy observes forecasts.")


class FoldsSpec(Declared):
    """Walk-forward folds: calendar years or quarters, each tested after its train window."""

    period: Literal["year", "quarter"] = Field(
        default="year", description="Length of a test window."
    )
    first: CoveredDay = Field(description="First day of the first test window.")
    last: CoveredDay | None = Field(
        default=None, description="First day of the last test window, if it ends."
    )
    train_months: int = Field(default=36, ge=6, description="Whole months before the test window.")
    validation_months: int = Field(default=6, ge=1, description="Last months of the train window.")

    @model_validator(mode="after")
    def _windows_fit_the_calendar(self) -> Self:
        months = 12 if self.period == "year" else 3
        if self.train_months % months:
            msg = (
                f"train_months was {self.train_months}; expected a multiple of {months}, the months"
                f" of a {self.period}, so that lineage can show the window"
            )
            raise ValueError(msg)
        if self.validation_months >= self.train_months:
            msg = (
                f"validation_months was {self.validation_months}; expected fewer than"
                f" train_months {self.train_months}"
            )
            raise ValueError(msg)
        for label, day in (("first", self.first), ("last", self.last)):
            if day is not None and (day.day != 1 or (day.month - 1) % months):
                msg = f"{label} was {day}; expected the first day of a {self.period}"
                raise ValueError(msg)
        if self.last is not None and self.last < self.first:
            msg = f"last {self.last} is before first {self.first}; expected it on or after first"
            raise ValueError(msg)
        return self


class BacktestSpec(Declared):
    """How a fold is traded and how its returns are judged."""

    initial_equity_usd: float = Field(
        default=1_000_000.0, gt=0, description="Equity at a fold's start."
    )
    bootstrap_samples: int = Field(
        default=1_000, ge=100, description="Stationary-bootstrap resamples."
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Coverage of stated intervals."
    )


class RiskSpec(Declared):
    """Limits applied to weights before anything is traded, in training, backtest and paper."""

    max_weight: float = Field(
        default=0.35, gt=0, description="Largest absolute weight of one symbol."
    )
    max_gross: float = Field(default=0.98, gt=0, description="Largest sum of absolute weights.")
    max_order_notional_usd: float = Field(
        default=500_000.0, gt=0, description="Largest notional of one order."
    )
    max_data_age_sessions: int = Field(
        default=1, ge=1, description="Sessions after which the newest bar is too old to trade on."
    )


class PaperSpec(Declared):
    """The daily paper-trading session."""

    gateway: Literal["simulated", "alpaca"] = Field(
        default="simulated", description="Embedded broker, or Alpaca's paper account."
    )
    initial_cash_usd: float = Field(default=1_000_000.0, gt=0, description="Cash of a new account.")
    decision_minutes_before_open: int = Field(
        default=15, ge=1, le=240, description="When the live-inference schedule decides."
    )


class GovernanceSpec(Declared):
    """When retraining starts and what a challenger has to show."""

    retrain: Literal["nightly", "on_drift"] = Field(
        default="nightly",
        description="Whether each night makes a challenger, or only an alarm does.",
    )
    challenger_sessions: int = Field(
        default=504, ge=60, description="Sessions of the challenger's rolling window."
    )
    validation_sessions: int = Field(
        default=126,
        ge=20,
        description="Last sessions of that window, which no model is trained on.",
    )
    drift_sessions: int = Field(
        default=63, ge=20, description="Recent sessions compared with the window."
    )
    max_drifted_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of drifted features above which the check fails.",
    )
    retrain_cooldown_sessions: int = Field(
        default=5, ge=1, description="Sessions between two retrains started by drift."
    )
    max_gate_p_value: float = Field(
        default=0.1, gt=0, lt=1, description="Largest p-value of the challenger's advantage."
    )
    nightly_hour_ny: int = Field(
        default=1, ge=0, le=8, description="Hour in New York at which the night's work starts."
    )


class Strategy(Declared):
    """One strategy: everything from features to paper trading, over one data set."""

    description: str = Field(default="", description="One sentence shown in the UI.")
    market_data: Name = Field(description="Name of the data set's declaration.")
    costs: CostsSpec = Field(default_factory=CostsSpec)
    features: FeaturesSpec = Field(default_factory=FeaturesSpec)
    forecast: ForecastSpec = Field(default_factory=ForecastSpec)
    policy: PolicySpec
    folds: FoldsSpec
    backtest: BacktestSpec = Field(default_factory=BacktestSpec)
    risk: RiskSpec = Field(default_factory=RiskSpec)
    paper: PaperSpec = Field(default_factory=PaperSpec)
    governance: GovernanceSpec = Field(default_factory=GovernanceSpec)
    is_oracle_world: bool = Field(
        default=False, description="Whether the optimum is known and the oracle ladder applies."
    )
    schedules: Literal["running", "stopped"] = Field(
        default="stopped", description="Whether schedules and sensor run from the first start on."
    )
    profiles: Overlays = Field(default_factory=Overlays)


def with_sizes(spec: Sized, sizes: Mapping[str, int]) -> Sized:
    """Return a part of a declaration with other sizes, as one launch asks for them.

    Raises
    ------
    UserError
        If a size is outside the bounds of its field.
    """
    try:
        return type(spec).model_validate({**spec.model_dump(), **sizes})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        msg = f"config {field} was {shown(problem['input'])}; {problem['msg']}, as in a declaration"
        raise UserError(msg) from error
