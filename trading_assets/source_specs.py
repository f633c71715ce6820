"""The declared sources of a data set: where bars and further series come from."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trading_assets.addresses import keep_keys_secret
from trading_assets.declared import Declared, Name, Symbol
from trading_assets.file_specs import FilesSource

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
    """A seeded market that does to a pipeline what real ones do, of any bar length and calendar."""

    kind: Literal["synthetic"]
    seed: int = Field(default=7, ge=0, description="Seed of the generator.")
    annual_volatility: float = Field(
        default=0.25, gt=0, lt=3, description="Volatility of the calm regime, a year."
    )
    turbulent_multiple: float = Field(
        default=3.0,
        ge=1,
        le=10,
        description="Volatility of the turbulent regime, as a multiple of the calm one's.",
    )
    regime_bars: float = Field(
        default=250.0, gt=1, description="Mean length of a regime, in sessions."
    )
    turbulent_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of sessions in the turbulent regime."
    )
    market_correlation: float = Field(
        default=0.3, ge=0, lt=1, description="Correlation of two symbols' session returns."
    )
    gap_share: float = Field(default=0.0, ge=0, lt=1, description="Share of bars that are missing.")
    halts_a_year: float = Field(
        default=0.0,
        ge=0,
        le=50,
        description="Trading halts a symbol and year; their bars, several in a row, are missing.",
    )
    splits_a_year: float = Field(default=0.0, ge=0, le=12, description="Splits a symbol and year.")
    dividends_a_year: float = Field(
        default=0.0, ge=0, le=12, description="Dividends a symbol and year."
    )
    late_listing_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of symbols listed after the data set's start."
    )
    delisting_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of symbols that are delisted."
    )
    listing_days: int = Field(
        default=730,
        ge=30,
        description=(
            "Calendar days after the data set's start within which late listings and delistings"
            " happen, however long it grows."
        ),
    )


class AlpacaSource(Declared):
    """Historical bars of US stocks by Alpaca's market-data API; keys come from the environment."""

    kind: Literal["alpaca"]
    feed: Literal["iex", "sip"] = Field(
        default="iex",
        description="Market-data feed: one exchange, or all of them with 15 minutes' delay.",
    )
    url: str | None = Field(
        default=None,
        description="Another address of the API, such as a proxy's; Alpaca's own when absent.",
    )
    stream_url: str | None = Field(
        default=None,
        description="Another address of live bars, without the feed; Alpaca's own when absent.",
    )

    @field_validator("url")
    @classmethod
    def _keys_stay_secret_on_the_way(cls, url: str | None) -> str | None:
        return None if url is None else keep_keys_secret("url", url, "https", "http")

    @field_validator("stream_url")
    @classmethod
    def _keys_stay_secret_in_the_stream(cls, url: str | None) -> str | None:
        return None if url is None else keep_keys_secret("stream_url", url, "wss", "ws")


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
    columns: dict[Literal["series", "symbol", "reference_time", "knowledge_time", "value"], str] = (
        Field(
            default_factory=dict,
            description=(
                "Our column (series, symbol, reference_time, knowledge_time, value) to the file's"
                " own; series and symbol may be absent."
            ),
        )
    )
    series: Name | None = Field(
        default=None, description="Name of the series, if the file has no column for it."
    )
    symbol: Symbol | None = Field(
        default=None, description="Symbol of all rows, if the file has no column for it."
    )
    names: dict[str, Name] = Field(
        default_factory=dict, description="The file's names of series to ours, such as GDPC1: gdp."
    )
    reference_is: Literal["day", "week", "month", "quarter", "year"] = Field(
        default="day",
        description="Period that a date in reference_time stands for; a value is about all of it.",
    )
    release_lag_days: int | None = Field(
        default=None,
        ge=0,
        le=3660,
        description="Calendar days from a period's end to its publication, for a file that does"
        " not say when a value became known.",
    )

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        for name, constant in (
            ("series", self.series),
            ("symbol", self.symbol),
            ("knowledge_time", self.release_lag_days),
        ):
            if constant is not None and name in self.columns:
                msg = (
                    f"columns names {name}, and {constant} is declared for all rows; expected one"
                    " of the two"
                )
                raise ValueError(msg)
        return self


class ArchSeries(Declared):
    """Series that ship with the PyPI package `arch`."""

    kind: Literal["arch"]
    data: Literal["sp500", "default"] = Field(
        description="Module of `arch.data`: the S&P 500 index, or corporate bond yields."
    )
    release_lag_days: int = Field(
        default=1,
        ge=0,
        le=3660,
        description="Calendar days from a period's end to its publication.",
    )


class NewsSeries(Declared):
    """Headlines scored by a model: decayed mean score, count and novelty at each close."""

    kind: Literal["news"]
    file: str = Field(description="CSV or Parquet with symbol, published_at, headline.")
    columns: dict[Literal["symbol", "published_at", "headline"], str] = Field(
        default_factory=dict, description="Our column to the file's own; symbol may be absent."
    )
    series: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = Field(
        default="news", description="Prefix of the names: news_score, news_count, news_novelty."
    )
    model: Literal["lexicon", "vader"] | ModulePath = Field(
        default="lexicon",
        description="What scores a headline; or `package.module:callable` of one's own.",
    )
    half_life_hours: float = Field(
        default=24.0, gt=0, le=8760, description="Decay of a headline's weight."
    )
    novelty_days: float = Field(
        default=3.0, gt=0, le=366, description="Days in which a similar headline makes one no news."
    )
    duplicate_overlap: float = Field(
        default=0.6, gt=0, le=1, description="Share of common words from which two are similar."
    )


SeriesSource = Annotated[FilesSeries | ArchSeries | NewsSeries, Field(discriminator="kind")]
