"""The quarantine: which bars break a row rule, and what they broke."""

from collections.abc import Sequence
from datetime import date, datetime

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.coverage import month_key
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.validation.judged_rows import (
    BAR,
    mixed_feed_rows,
    rises_strictly,
    slices_by_symbol,
    tied_rows,
)
from trading_assets.bars.validation.row_rules import RowRule, row_rules
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, conform


def quarantine_rows(
    rows: pl.DataFrame, spec: MarketDataSpec, calendar: ExchangeCalendar, as_of: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split `rows` into those that keep every rule and the quarantine of the others.

    All rules are evaluated in one pass that only says whether a row breaks any; what it broke is
    looked up for the few that do.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars` as `select_judged_rows` returns it.
    spec, calendar, as_of
        What the rules compare with.

    Returns
    -------
    clean : DataFrame
        Rows of table `raw_bars` that keep every rule, unchanged and in their order.
    quarantine : DataFrame
        Table `quarantine`: one row for each rule that a bar breaks.
    """
    rules = row_rules(spec, as_of)
    parts = [_broken_rows(part, rules, spec, calendar) for part in slices_by_symbol(rows)]
    if all(broken.is_empty() for _, broken in parts):
        return rows, TABLES["quarantine"].empty()
    broken = pl.concat([broken for _, broken in parts])
    lines = pl.concat([_quarantine_lines(broken, rule) for rule in rules])
    # Copies of one bar share a key; a month's table keeps one line for each rule they break.
    key = TABLES["quarantine"].key
    quarantine = (
        lines.with_columns(month_key().alias("_month"))
        .unique([*key, "_month"], keep="first", maintain_order=True)
        .drop("_month")
        .sort(key)
    )
    is_broken = pl.concat([is_broken for is_broken, _ in parts])
    return rows.filter(~is_broken), conform("quarantine", quarantine)


def _broken_rows(
    rows: pl.DataFrame,
    rules: Sequence[RowRule],
    spec: MarketDataSpec,
    calendar: ExchangeCalendar,
) -> tuple[pl.Series, pl.DataFrame]:
    compared = _with_comparisons(rows, spec, calendar)
    is_broken = compared.select(
        pl.any_horizontal(rule.is_broken.fill_null(value=True) for rule in rules).alias("broken")
    ).to_series()
    return is_broken, compared.filter(is_broken) if is_broken.any() else compared.clear()


def _quarantine_lines(broken: pl.DataFrame, rule: RowRule) -> pl.DataFrame:
    shown = [
        pl.format("{} {}", pl.lit(name), pl.col(name).cast(pl.String).fill_null("null"))
        for name in rule.values
    ]
    return broken.filter(rule.is_broken.fill_null(value=True)).select(
        "symbol",
        "session",
        "event_time",
        "revision",
        pl.lit(rule.name).alias("rule"),
        pl.concat_str(shown, separator=", ").alias("value"),
        pl.lit(rule.reason).alias("reason"),
    )


def _with_comparisons(
    rows: pl.DataFrame, spec: MarketDataSpec, calendar: ExchangeCalendar
) -> pl.DataFrame:
    # Rows stand by symbol and time, so that runs of equal values are few.
    days = rows["session"].rle().struct.field("value").unique().sort()
    symbols = rows["symbol"].rle().struct.field("value")
    known = days.filter(days.is_between(calendar.first_day, calendar.last_day))
    sessions = [day for day in known if calendar.is_session(day)]
    grid = bar_closes(calendar, sessions, spec.raw_bar_length)
    # No two bars of a calendar end together, so event_time alone finds the bar.
    promised = grid.select("event_time", pl.col("session").alias("grid_session"))
    found = rows.select("event_time").join(
        promised, on="event_time", how="left", maintain_order="left"
    )
    return rows.with_columns(
        found["grid_session"],
        _one_of("session", sessions, known=len(sessions) == len(days)).alias("is_session"),
        _one_of(
            "symbol", spec.universe, known=symbols.is_in(spec.universe, nulls_equal=True).all()
        ).alias("is_listed"),
        pl.lit(value=False if rises_strictly(rows) else tied_rows(rows, BAR)).alias("is_repeated"),
        mixed_feed_rows(rows, spec).alias("mixes_feeds"),
    )


def _one_of(column: str, values: Sequence[str] | Sequence[date], *, known: bool) -> pl.Expr:
    return pl.lit(value=True) if known else pl.col(column).is_in(list(values))
