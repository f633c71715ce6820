"""The declaration of a strategy, validated.

Each model here is plain pydantic. Nothing in this module knows Dagster, reads a file or looks at
the environment; `trading_assets.declarations` finds and parses the YAML files.
"""

from collections.abc import Mapping
from typing import Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from trading_assets.agent_specs import DirectSpec
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.declared import (
    CoveredDay,
    Declared,
    Name,
    Overlays,
)
from trading_assets.encoder_specs import GraphEncoderSpec
from trading_assets.errors import UserError, shown
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.forecast_specs import ForecastSpec
from trading_assets.policy_specs import PolicySpec
from trading_assets.prop_firm_specs import PropFirmSpec
from trading_assets.rebalance_specs import DeclaredRebalance, EveryBarSpec, is_every_bar
from trading_assets.risk_specs import RiskSpec

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


class FoldsSpec(Declared):
    """Walk-forward folds: calendar years or quarters, each tested after its train window."""

    period: Literal["year", "quarter"] = Field(
        default="year", description="Length of a test window."
    )
    first: CoveredDay = Field(description="First day of the first test window.")
    last: CoveredDay | None = Field(
        default=None, description="First day of the last test window, if it ends."
    )
    window: Literal["rolling", "anchored"] = Field(
        default="rolling",
        description=(
            "Whether train windows keep their length or all begin where the first fold's does."
        ),
    )
    train_months: int = Field(
        default=36, ge=6, description="Whole months before the test window, if anchored the first."
    )
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
    stress_paths: int = Field(
        default=20,
        ge=0,
        le=500,
        description="Resampled paths of each test window that portfolios decide anew on.",
    )
    prop_firm: PropFirmSpec | None = Field(
        default=None,
        description="Rules of an evaluation account that the track record is held against.",
    )
    cross_validation: CrossValidationSpec | None = Field(
        default=None,
        description="Groups of sessions that cheap policies are fitted on and tested by.",
    )


class PaperSpec(Declared):
    """The daily paper-trading session."""

    gateway: Literal["simulated", "alpaca"] = Field(
        default="simulated", description="Embedded broker, or an account at Alpaca."
    )
    alpaca_account: Literal["paper", "live"] = Field(
        default="paper",
        description="Which account at Alpaca; `live` also needs the strategy's name in"
        " TRADING_ASSETS_LIVE_STRATEGIES.",
    )
    initial_cash_usd: float = Field(default=1_000_000.0, gt=0, description="Cash of a new account.")
    decision_minutes_before_open: int = Field(
        default=15, ge=1, le=240, description="When the live-inference schedule decides."
    )
    replay_limit_bps: float = Field(
        default=5.0,
        gt=0,
        description="Divergence of a session from its replay above which a check warns.",
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
    # Left out where it changes nothing, so that no digest of a declaration changes either.
    rebalance: DeclaredRebalance = Field(
        default_factory=EveryBarSpec,
        exclude_if=is_every_bar,
        description=(
            "Which decided weights are traded: every_bar, weekly, or no_trade_band with band and"
            " trade_to."
        ),
    )
    paper: PaperSpec = Field(default_factory=PaperSpec)
    governance: GovernanceSpec = Field(default_factory=GovernanceSpec)
    is_oracle_world: bool = Field(
        default=False, description="Whether the optimum is known and the oracle ladder applies."
    )
    schedules: Literal["running", "stopped"] = Field(
        default="stopped", description="Whether schedules and sensor run from the first start on."
    )
    profiles: Overlays = Field(default_factory=Overlays)

    @model_validator(mode="after")
    def _latency_can_be_drawn(self) -> Self:
        drawn = self.policy.randomisation
        if drawn is not None and drawn.latency and self.costs.latency_bars == 1:
            msg = (
                "policy.randomisation.latency was true with costs.latency_bars 1; expected"
                " latency_bars above 1, the largest latency that is drawn"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _bundles_forecast_what_is_shown(self) -> Self:
        shown, own = self.policy.window_bars, self.governance.validation_sessions
        if self.policy.uses_forecasts and shown > own:
            msg = (
                f"policy.window_bars was {shown} with governance.validation_sessions {own};"
                " expected at most as many bars as sessions, since a bundle has no forecasts of"
                " sessions it was trained on: lower the one, raise the other, or set"
                " policy.uses_forecasts false"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _graphs_have_sectors(self) -> Self:
        for name, agent in self.policy.agents.items():
            encoder = agent.encoder
            is_of_sectors = isinstance(encoder, GraphEncoderSpec) and encoder.edges == "sector"
            if is_of_sectors and not self.risk.sectors:
                msg = (
                    f"the encoder of agent {name} had edges sector without risk.sectors; expected"
                    " the sector of some symbols there, or edges correlation"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rebalance_can_be_kept(self) -> Self:
        kind, latency = self.rebalance.kind, self.costs.latency_bars
        if is_every_bar(self.rebalance):
            return self
        if latency != 1:
            msg = (
                f"rebalance was {kind} with costs.latency_bars {latency}; expected latency_bars 1,"
                " since what is held back would undo trades that are on their way"
            )
            raise ValueError(msg)
        for name, agent in self.policy.agents.items():
            if isinstance(agent, DirectSpec):
                msg = (
                    f"rebalance was {kind} with agent {name} of algorithm direct; expected"
                    " every_bar, since its gradient does not pass through a rule that holds trades"
                    " back: declare another algorithm"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _net_weights_suit_the_position(self) -> Self:
        most = self.risk.max_net
        if self.policy.position == "long_only" and most is not None and most <= 0.0:
            msg = (
                f"risk.max_net was {most:g} with policy.position long_only; expected it above 0, as"
                " nothing could be held"
            )
            raise ValueError(msg)
        return self


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
