"""The rules every single bar has to keep."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from trading_assets.bars.sources.source import declared_feed
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import UTC_TIME

UNIQUENESS = "bar_is_unique"
ON_THE_CALENDAR = "session_is_on_the_calendar"
ON_THE_GRID = "bar_ends_on_the_grid"

_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule: its name is true of a good row.

    Attributes
    ----------
    name : str
        Stored in the quarantine table.
    is_broken : Expr
        Boolean over the rows; null counts as broken.
    values : tuple of str
        Columns that a person needs to see.
    reason : str
        What is wrong and what was expected.
    """

    name: str
    is_broken: pl.Expr
    values: tuple[str, ...]
    reason: str


def row_rules(spec: MarketDataSpec, as_of: datetime) -> list[RowRule]:
    """Return the rules for the data set `spec` at the aware moment `as_of`.

    They read the columns of table `raw_bars` and those that `quarantine_rows` adds: `grid_session`
    (session that has a bar ending at event_time, null if none), `is_session`, `is_listed`,
    `is_repeated` and `mixes_feeds`.
    """
    return [*_identity_rules(spec), *_time_rules(spec, as_of), *_price_rules()]


def _identity_rules(spec: MarketDataSpec) -> list[RowRule]:
    feeds = list(
        dict.fromkeys(declared_feed(each) for each in (spec.source, spec.fallback) if each)
    )
    return [
        RowRule(
            "symbol_is_in_the_universe",
            ~pl.col("is_listed"),
            ("symbol",),
            "the symbol is not declared in the universe",
        ),
        RowRule(
            "bar_is_of_the_declared_kind",
            ~pl.any_horizontal(pl.col("feed") == feed for feed in feeds)
            | (pl.col("adjustment") != "raw")
            | (pl.col("bar_length") != spec.raw_bar_length),
            ("feed", "adjustment", "bar_length"),
            f"expected feed {' or '.join(feeds)}, adjustment raw and bar length"
            f" {spec.raw_bar_length}",
        ),
        RowRule(
            "feeds_are_not_mixed",
            pl.col("mixes_feeds"),
            ("feed", "symbol", "session"),
            f"the symbol's month has bars of {feeds[0]}, which another feed must not fill up",
        ),
        RowRule(
            UNIQUENESS,
            pl.col("is_repeated"),
            ("symbol", "event_time"),
            "the bar occurs more than once, and nothing says which one is right",
        ),
    ]


def _time_rules(spec: MarketDataSpec, as_of: datetime) -> list[RowRule]:
    return [
        RowRule(
            ON_THE_CALENDAR,
            ~pl.col("is_session"),
            ("session",),
            f"{spec.calendar} has no session on that day",
        ),
        RowRule(
            ON_THE_GRID,
            pl.col("is_session") & pl.col("grid_session").ne_missing(pl.col("session")),
            ("event_time", "session"),
            f"no {spec.raw_bar_length} bar of the session ends at event_time",
        ),
        RowRule(
            "bar_is_not_from_the_future",
            pl.col("event_time") > pl.lit(as_of).cast(UTC_TIME),
            ("event_time",),
            f"the bar ends after {as_of:%Y-%m-%d %H:%M %Z}, when it was validated",
        ),
        RowRule(
            "bar_is_known_only_after_it_ends",
            pl.col("knowledge_time") < pl.col("event_time"),
            ("knowledge_time", "event_time"),
            "knowledge_time is before event_time, so the bar would leak the future",
        ),
    ]


def _price_rules() -> list[RowRule]:
    low, high = pl.col("low"), pl.col("high")
    opened, closed, volume = pl.col("open"), pl.col("close"), pl.col("volume")
    return [
        RowRule(
            "prices_are_positive_and_finite",
            # NaN counts as greater than infinity, so it is not between.
            pl.any_horizontal(
                ~pl.col(price).is_between(0, float("inf"), closed="none") for price in _PRICES
            ),
            _PRICES,
            "expected every price to be a finite number above 0",
        ),
        RowRule(
            "low_is_not_above_open_and_close",
            (low > opened) | (low > closed),
            ("low", "open", "close"),
            "low is above open or close",
        ),
        RowRule(
            "high_is_not_below_open_and_close",
            (high < opened) | (high < closed),
            ("high", "open", "close"),
            "high is below open or close",
        ),
        RowRule(
            "volume_is_not_negative",
            ~volume.is_finite() | (volume < 0),
            ("volume",),
            "expected volume to be a finite number of shares, 0 or more",
        ),
        RowRule(
            "bar_was_traded",
            volume == 0,
            ("volume",),
            "no share was traded, so the prices are no trades",
        ),
    ]
