"""The declaration of a data set, validated.

Each model here is plain pydantic. Nothing in this module knows Dagster, reads a file or looks at
the environment; `trading_assets.declarations` finds and parses the YAML files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import Field, PrivateAttr, field_validator, model_validator

from trading_assets.declared import CoveredDay, Declared, Overlays, Symbol
from trading_assets.membership import Members
from trading_assets.source_specs import BAR_MINUTES, BarLength, SeriesSource, Source
from trading_assets.symbols import compose


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
        description="Largest share of a month's expected bars that may be missing.",
    )
    max_return_sigmas: float = Field(
        default=10.0,
        gt=0,
        description="Robust sigmas beyond which a return without an action is reported.",
    )
    stale_bars: int | None = Field(
        default=None,
        ge=2,
        description="Equal closes in a row that are reported; by default an hour of minute bars,"
        " two hours of 5-minute bars, 7 hourly or 5 daily bars.",
    )


def _once_each(symbols: Sequence[Any]) -> list[Any]:
    """Return each symbol once; what is no text stays, for its own rule to refuse."""
    texts = [compose(symbol) for symbol in symbols if isinstance(symbol, str)]
    others = [symbol for symbol in symbols if not isinstance(symbol, str)]
    return [*dict.fromkeys(texts), *others]


class MarketDataSpec(Declared):
    """One data set: where bars come from, for which symbols, and how they are judged."""

    description: str = Field(default="", description="One sentence shown in the UI.")
    source: Source
    fallback: Source | None = Field(
        default=None, description="Asked for what the source cannot deliver, symbol and month."
    )
    universe: tuple[Symbol, ...] = Field(
        min_length=1,
        description="Symbols; or members with dates, here or in a CSV file that is named instead.",
    )
    members: Members = Field(
        default=(), description="Symbols with their time in the universe; filled from `universe`."
    )
    series: tuple[SeriesSource, ...] = Field(
        default=(), description="Further series: macro figures, fundamentals, news."
    )
    bar_length: BarLength = Field(default="1d", description="Length of a validated bar.")
    fetched_bar_length: BarLength | None = Field(
        default=None, description="Length of the bars asked for, if they are built from finer ones."
    )
    calendar: Literal["XNYS", "24/7", "24/5"] = Field(
        default="XNYS", description="Calendar of the sessions: New York, crypto or forex."
    )
    start: CoveredDay = Field(description="First session asked for.")
    end: CoveredDay | None = Field(
        default=None, description="Last session; absent while the data set is live."
    )
    publication_lag_minutes: int = Field(
        default=15,
        ge=0,
        le=366 * 1440,
        description="Minutes from a bar's close until a trader can use it.",
    )
    validation: ValidationSpec = Field(default_factory=ValidationSpec)
    profiles: Overlays = Field(default_factory=Overlays)

    _folder: Path | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _members_name_the_universe(cls, values: Any) -> Any:  # noqa: ANN401 # whatever YAML holds
        if not isinstance(values, Mapping):
            return values
        given = cast("Mapping[str, Any]", values)
        universe = given.get("universe")
        if not isinstance(universe, list | tuple):
            return given
        members = [m for m in cast("Sequence[Any]", universe) if isinstance(m, Mapping)]
        if len(members) != len(cast("Sequence[Any]", universe)) or not members:
            return given
        symbols = [cast("Mapping[str, Any]", member).get("symbol") for member in members]
        return {**given, "members": members, "universe": _once_each(symbols)}

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

    @model_validator(mode="after")
    def _bars_are_built_from_finer_ones(self) -> Self:
        fetched = self.fetched_bar_length
        if fetched is not None and BAR_MINUTES[fetched] >= BAR_MINUTES[self.bar_length]:
            msg = (
                f"fetched_bar_length was {fetched}; expected a length below bar_length"
                f" {self.bar_length}, of which such a bar is built"
            )
            raise ValueError(msg)
        return self

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 # pydantic's
        """Remember the declaration's folder, against which its file names are meant."""
        self._folder = context.get("folder") if isinstance(context, dict) else None

    @property
    def folder(self) -> Path:
        """The declaration's folder, against which its file names are meant."""
        return self._folder or Path()

    @property
    def raw_bar_length(self) -> BarLength:
        """Length of the bars that the source delivers."""
        return self.fetched_bar_length or self.bar_length

    @property
    def is_live(self) -> bool:
        """Whether the data set grows with every session."""
        return self.end is None
