"""The declared sources of a data set: where bars and further series come from."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from trading_assets.declared import Declared, Name, Symbol

BarLength = Literal["1d", "1h", "5m", "1m"]
# A session's length varies; a day counts as all of its minutes.
BAR_MINUTES: Mapping[BarLength, int] = {"1d": 1440, "1h": 60, "5m": 5, "1m": 1}
ModulePath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)*:[A-Za-z_][\w]*$")]


class SampleSource(Declared):
    """Daily bars of five US stocks that ship with the PyPI package `bokeh_sampledata`."""

    kind: Literal["sample"]


class WorldSource(Declared):
    """World W1: one asset with an AR(1) alpha, whose best policy is known in closed form.

    Source: Garleanu and Pedersen, Dynamic Trading with Predictable Returns, J. Finance 68 (2013).
    """

    kind: Literal["world"]
    world: Literal["w1"] = Field(default="w1", description="Which world.")
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


class SyntheticSource(Declared):
    """A seeded market with what real ones do to a pipeline; shares are counts a symbol-year."""

    kind: Literal["synthetic"]
    seed: int = Field(default=7, ge=0, description="Seed of the generator.")
    annual_volatility: float = Field(
        default=0.25, gt=0, lt=3, description="Volatility of the calm regime, a year."
    )
    turbulent_multiple: float = Field(
        default=3.0, ge=1, description="Volatility of the turbulent regime, as a multiple."
    )
    regime_bars: float = Field(
        default=250.0, gt=1, description="Mean length of a regime, in sessions."
    )
    gap_share: float = Field(default=0.0, ge=0, lt=1, description="Share of bars that are missing.")
    halts_a_year: float = Field(
        default=0.0, ge=0, description="Trading halts a symbol and year; their bars are missing."
    )
    splits_a_year: float = Field(default=0.0, ge=0, description="Splits a symbol and year.")
    dividends_a_year: float = Field(default=0.0, ge=0, description="Dividends a symbol and year.")
    late_listing_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of symbols listed after the start."
    )
    delisting_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of symbols delisted before the end."
    )


class AlpacaSource(Declared):
    """Historical bars of Alpaca's market-data API; keys come from the environment."""

    kind: Literal["alpaca"]
    feed: Literal["iex", "sip"] = Field(default="iex", description="Market-data feed.")
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Another address of the API, such as a proxy's; Alpaca's own when absent.",
    )


class FilesSource(Declared):
    """A folder of CSV or Parquet files in any vendor's layout, described by a column map."""

    kind: Literal["files"]
    folder: str = Field(description="Folder; relative to the declaration's own folder.")
    pattern: str = Field(default="*", description="File names that count, as a glob.")
    feed: Name = Field(description="Name by which rows say where they came from.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our column (symbol, time, open, high, low, close, volume) to the files' own.",
    )
    symbol_from: Literal["column", "file_name"] = Field(
        default="column", description="Where a row's symbol stands."
    )
    time_is: Literal["session", "bar_open", "bar_close"] = Field(
        default="session", description="What the time column says: a date, or a bar's start or end."
    )
    time_zone: str = Field(default="UTC", description="Zone of times without one.")
    time_format: str | None = Field(
        default=None, description="Format of a time in text, as strftime; ISO 8601 when absent."
    )


class YfinanceSource(Declared):
    """Yahoo's daily bars by the optional package `yfinance`, unadjusted, with its actions."""

    kind: Literal["yfinance"]


class ModuleSource(Declared):
    """A source of one's own: a callable that returns an object with `fetch`."""

    kind: Literal["module"]
    factory: ModulePath = Field(description="`package.module:callable`.")
    feed: Name = Field(description="Name by which rows say where they came from.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Passed to the callable as they are."
    )


Source = Annotated[
    SampleSource
    | WorldSource
    | SyntheticSource
    | AlpacaSource
    | FilesSource
    | YfinanceSource
    | ModuleSource,
    Field(discriminator="kind"),
]


class FilesSeries(Declared):
    """Series from a CSV or Parquet file with vintages: macro figures or fundamentals."""

    kind: Literal["files"]
    file: str = Field(description="File; relative to the declaration's own folder.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "Our column (series, symbol, reference_time, knowledge_time, value) to the file's own;"
            " series and symbol may be absent."
        ),
    )
    series: Name | None = Field(
        default=None, description="Name of the series, if the file has no column for it."
    )


class ArchSeries(Declared):
    """Series that ship with the PyPI package `arch`."""

    kind: Literal["arch"]
    data: Literal["sp500", "default"] = Field(description="Module of `arch.data`.")
    release_lag_days: int = Field(
        default=1, ge=0, description="Calendar days from a reference day to its publication."
    )


class NewsSeries(Declared):
    """Headlines scored by a model: mean score and count, known at publication."""

    kind: Literal["news"]
    file: str = Field(description="CSV or Parquet with symbol, published_at, headline.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="Our column to the file's own."
    )
    model: Literal["lexicon", "vader"] | ModulePath = Field(
        default="lexicon", description="What scores a headline."
    )
    half_life_hours: float = Field(default=24.0, gt=0, description="Decay of a headline's weight.")


SeriesSource = Annotated[FilesSeries | ArchSeries | NewsSeries, Field(discriminator="kind")]


class Member(Declared):
    """A symbol's time in the universe."""

    symbol: Symbol
    first_session: date | None = Field(default=None, description="First day in the universe.")
    last_session: date | None = Field(default=None, description="Last day in the universe.")
    delisting_reason: str | None = Field(
        default=None, max_length=60, description="Why it left, such as merger or bankruptcy."
    )
    delisting_return: float | None = Field(
        default=None, ge=-1, description="Return after the last bar, fraction."
    )
