"""The declaration of a data set, validated, and the types that all declarations share.

Each model here is plain pydantic. Nothing in this module knows Dagster, reads a file or looks at
the environment; `trading_assets.declarations` finds and parses the YAML files.
"""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9.\-/]{0,15}$")]
Profile = Literal["development", "production"]


class Declared(BaseModel):
    """A frozen part of a declaration that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleSource(Declared):
    """Daily bars of five US stocks that ship with the PyPI package `bokeh_sampledata`."""

    kind: Literal["sample"]


class SyntheticSource(Declared):
    """World W1: one asset with an AR(1) alpha, whose best policy is known in closed form.

    Source: Garleanu and Pedersen, Dynamic Trading with Predictable Returns, J. Finance 68 (2013).
    """

    kind: Literal["synthetic"]
    seed: int = Field(default=7, ge=0, description="Seed of the generator.")
    volatility: float = Field(
        default=0.01, gt=0, description="Standard deviation of one bar's return."
    )
    persistence: float = Field(
        default=0.9, ge=0, lt=1, description="AR(1) coefficient of the signal."
    )
    information_coefficient: float = Field(
        default=0.1, ge=0, lt=1, description="Correlation of the signal with the next bar's return."
    )
    initial_price_usd: float = Field(default=100.0, gt=0, description="First opening price.")


class AlpacaSource(Declared):
    """Historical bars of Alpaca's market-data API; keys come from the environment."""

    kind: Literal["alpaca"]
    feed: Literal["iex", "sip"] = Field(default="iex", description="Market-data feed.")


Source = Annotated[SampleSource | SyntheticSource | AlpacaSource, Field(discriminator="kind")]


class ValidationSpec(Declared):
    """Rules that decide which bars are used and when a partition is refused."""

    max_quarantine_share: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Largest share of a partition's rows that may be quarantined.",
    )
    max_missing_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Largest share of calendar sessions that may lack a bar.",
    )
    max_return_sigmas: float = Field(
        default=10.0,
        gt=0,
        description="Robust sigmas beyond which a return without an action is reported.",
    )


class Overlays(Declared):
    """Values that replace declared ones when the named profile is chosen."""

    development: dict[str, Any] = Field(default_factory=dict)
    production: dict[str, Any] = Field(default_factory=dict)


class MarketDataSpec(Declared):
    """One data set: where bars come from, for which symbols, and how they are judged."""

    description: str = Field(default="", description="One sentence shown in the UI.")
    source: Source
    universe: tuple[Symbol, ...] = Field(min_length=1, description="Symbols, alphabetical.")
    bar_length: Literal["1d"] = Field(default="1d", description="Length of a bar.")
    calendar: Literal["XNYS"] = Field(
        default="XNYS", description="Exchange calendar of the sessions."
    )
    start: date = Field(description="First session asked for.")
    end: date | None = Field(
        default=None, description="Last session; absent while the data set is live."
    )
    publication_lag_minutes: int = Field(
        default=15, ge=0, description="Minutes from a bar's close until a trader can use it."
    )
    validation: ValidationSpec = Field(default_factory=ValidationSpec)
    profiles: Overlays = Field(default_factory=Overlays)

    @field_validator("universe")
    @classmethod
    def _symbols_are_unique_and_sorted(cls, universe: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(universe)) != len(universe):
            twice = sorted({s for s in universe if universe.count(s) > 1})
            msg = f"universe names {', '.join(twice)} more than once; expected each symbol once"
            raise ValueError(msg)
        return tuple(sorted(universe))

    @model_validator(mode="after")
    def _dates_are_ordered(self) -> Self:
        if self.end is not None and self.end < self.start:
            msg = f"end {self.end} is before start {self.start}; expected end on or after start"
            raise ValueError(msg)
        return self

    @property
    def is_live(self) -> bool:
        """Whether the data set grows with every session."""
        return self.end is None
