"""The rules every single bar has to keep, and the quarantine of those that do not."""

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from trading_assets.bars.calendar import ExchangeCalendar
from trading_assets.bars.sources import declared_feed
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform

UNIQUENESS = "bar_is_unique"

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

    They read the columns of table `raw_bars` and `expected_close`, which `quarantine_rows` adds.
    """
    low, high = pl.col("low"), pl.col("high")
    opened, closed, volume = pl.col("open"), pl.col("close"), pl.col("volume")
    prices = [pl.col(name) for name in _PRICES]
    feed = declared_feed(spec.source)
    bar = ("symbol", "bar_length", "event_time", "feed", "adjustment")
    return [
        RowRule(
            "symbol_is_in_the_universe",
            ~pl.col("symbol").is_in(list(spec.universe)),
            ("symbol",),
            "the symbol is not declared in the universe",
        ),
        RowRule(
            "bar_is_of_the_declared_kind",
            (pl.col("feed") != feed)
            | (pl.col("adjustment") != "raw")
            | (pl.col("bar_length") != spec.bar_length),
            ("feed", "adjustment", "bar_length"),
            f"expected feed {feed}, adjustment raw and bar length {spec.bar_length}",
        ),
        RowRule(
            UNIQUENESS,
            pl.struct(bar).is_duplicated(),
            ("symbol", "session"),
            "the bar occurs more than once, and nothing says which one is right",
        ),
        RowRule(
            "session_is_on_the_calendar",
            pl.col("expected_close").is_null(),
            ("session",),
            f"{spec.calendar} has no session on that day",
        ),
        RowRule(
            "bar_ends_at_the_close",
            pl.col("expected_close").is_not_null()
            & (pl.col("event_time") != pl.col("expected_close")),
            ("event_time",),
            "event_time is not the session's close",
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
        RowRule(
            "prices_are_positive_and_finite",
            pl.any_horizontal(
                (~price.is_finite() | (price <= 0)).fill_null(value=True) for price in prices
            ),
            _PRICES,
            "expected every price to be a finite number above 0",
        ),
        RowRule(
            "low_is_not_above_open_and_close",
            low > pl.min_horizontal(opened, closed),
            ("low", "open", "close"),
            "low is above open or close",
        ),
        RowRule(
            "high_is_not_below_open_and_close",
            high < pl.max_horizontal(opened, closed),
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


def quarantine_rows(
    rows: pl.DataFrame, spec: MarketDataSpec, calendar: ExchangeCalendar, as_of: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split `rows` into those that keep every rule and the quarantine of the others.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars`, one revision a bar.
    spec, calendar, as_of
        What the rules compare with.

    Returns
    -------
    clean : DataFrame
        Rows of table `raw_bars` that keep every rule, unchanged.
    quarantine : DataFrame
        Table `quarantine`: one row for each rule that a bar breaks.
    """
    numbered = _with_expected_close(rows, calendar).with_row_index("row")
    broken = pl.concat(
        [
            numbered.filter(rule.is_broken.fill_null(value=True)).select(
                "row",
                "symbol",
                "session",
                "event_time",
                "revision",
                pl.lit(rule.name).alias("rule"),
                pl.concat_str(
                    [
                        pl.format(
                            "{} {}", pl.lit(name), pl.col(name).cast(pl.String).fill_null("null")
                        )
                        for name in rule.values
                    ],
                    separator=", ",
                ).alias("value"),
                pl.lit(rule.reason).alias("reason"),
            )
            for rule in row_rules(spec, as_of)
        ]
    )
    clean = numbered.join(broken, on="row", how="anti").select(TABLES["raw_bars"].names)
    # Copies of one bar share a key; the table keeps one line for each rule they break.
    key = TABLES["quarantine"].key
    quarantine = broken.drop("row").unique(key, keep="first", maintain_order=True).sort(key)
    return clean, conform("quarantine", quarantine)


def _with_expected_close(rows: pl.DataFrame, calendar: ExchangeCalendar) -> pl.DataFrame:
    days: list[date] = rows["session"].unique().to_list()
    closes = {day: calendar.close_time(day) for day in days if calendar.is_session(day)}
    expected = pl.DataFrame(
        {"session": list(closes), "expected_close": list(closes.values())},
        schema={"session": pl.Date, "expected_close": UTC_TIME},
    )
    return rows.join(expected, on="session", how="left", maintain_order="left")
