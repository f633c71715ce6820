"""The future removed, or replaced by another one: other bars, actions, series and calendar."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

# Sort before and after every ticker, so that neither end of a sorted table is safe from them.
_NEWCOMERS = ("0NEW", "zNEW")
_SHARE_DROPPED = 0.15
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class FeatureInputs:
    """The three tables that features are computed from."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    series: pl.DataFrame


def truncate(inputs: FeatureInputs, moment: date) -> FeatureInputs:
    """Return the tables without what happened after the session `moment`."""
    return FeatureInputs(
        inputs.bars.filter(pl.col("session") <= moment),
        inputs.actions.filter(pl.col("ex_date") <= moment),
        inputs.series.filter(pl.col("session") <= moment),
    )


def scramble(inputs: FeatureInputs, moment: date, rng: np.random.Generator) -> FeatureInputs:
    """Return the tables with another future after the session `moment`.

    Prices and volumes are noise that keeps low <= open, close <= high; bars become known up to
    three days later; some sessions and bars are missing; a symbol appears; splits and dividends
    go ex; series have other values, published on other days, and older periods are revised. Where
    the tables end at `moment`, series may still be revised and nothing else changes.

    Parameters
    ----------
    inputs : FeatureInputs
        Tables validated_bars, corporate_actions and series.
    moment : date
        Last session that stays as it is.
    rng : Generator
        Source of the noise.
    """
    known = truncate(inputs, moment)
    bars = _other_bars(inputs.bars.filter(pl.col("session") > moment), rng)
    actions = _other_actions(bars, inputs.actions.columns, rng)
    series = inputs.series.filter(pl.col("session") > moment)
    return FeatureInputs(
        pl.concat([known.bars, bars]),
        pl.concat([known.actions, actions]),
        pl.concat(
            [known.series, _other_values(series, rng), _revisions(known.series, moment, rng)]
        ),
    )


def _other_bars(later: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    if later.is_empty():
        return later
    symbols = later["symbol"].unique().sort().to_list()
    copied = later.filter(pl.col("symbol") == symbols[rng.integers(len(symbols))])
    name = _NEWCOMERS[rng.integers(len(_NEWCOMERS))]
    newcomer = copied.with_columns(pl.lit(name).alias("symbol"))
    rows = _drop_some(pl.concat([later, newcomer]), rng)
    count = rows.height
    level = pl.Series(np.exp(rng.normal(0.0, 0.5, count)))
    moved = {
        name: pl.col(name) * level * pl.Series(rng.uniform(0.9, 1.1, count))
        for name in ("open", "close")
    }
    return rows.with_columns(
        **moved,
        high=pl.max_horizontal(*moved.values()) * 1.01,
        low=pl.min_horizontal(*moved.values()) * 0.99,
        volume=pl.col("volume") * pl.Series(np.exp(rng.normal(0.0, 1.0, count))) + 1.0,
        knowledge_time=pl.col("knowledge_time") + _delays(3 * _SECONDS_A_DAY, count, rng),
    )


def _drop_some(rows: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    sessions = rows["session"].unique().sort()
    closed = sessions.filter(pl.Series(rng.random(len(sessions)) < _SHARE_DROPPED))
    is_traded = pl.Series(rng.random(rows.height) >= _SHARE_DROPPED)
    left = rows.filter(is_traded & ~rows["session"].is_in(closed.to_list()))
    # An empty future is what truncation tries.
    return rows if left.is_empty() else left


def _other_actions(
    bars: pl.DataFrame, columns: list[str], rng: np.random.Generator
) -> pl.DataFrame:
    happened = bars.select(
        "symbol",
        pl.col("session").alias("ex_date"),
        "close",
        "knowledge_time",
        pl.lit(None, dtype=pl.String).alias("new_symbol"),
        pl.lit("scrambled").alias("origin"),
    )
    count = happened.height
    splits = happened.with_columns(
        pl.lit("split").alias("kind"),
        pl.Series("split_ratio", rng.uniform(0.2, 5.0, count)),
        pl.lit(0.0).alias("cash_usd"),
    )
    dividends = happened.with_columns(
        pl.lit("dividend").alias("kind"),
        pl.lit(1.0).alias("split_ratio"),
        (pl.col("close") * pl.Series(rng.uniform(0.01, 0.1, count))).alias("cash_usd"),
    )
    return pl.concat(
        rows.filter(pl.Series(rng.random(count) < 0.5, dtype=pl.Boolean)).select(columns)
        for rows in (splits, dividends)
    )


def _other_values(later: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    if later.is_empty():
        return later
    rows = later.filter(pl.Series(rng.random(later.height) >= _SHARE_DROPPED))
    count = rows.height
    days = pl.duration(days=pl.lit(pl.Series(rng.integers(0, 10, count))))
    return rows.with_columns(
        pl.Series("value", rng.normal(0.0, 1.0, count)),
        pl.col("session") + days,
        pl.col("knowledge_time") + days + _delays(_SECONDS_A_DAY, count, rng),
    )


def _revisions(known: pl.DataFrame, moment: date, rng: np.random.Generator) -> pl.DataFrame:
    rows = known.filter(pl.Series(rng.random(known.height) < _SHARE_DROPPED, dtype=pl.Boolean))
    count = rows.height
    days = pl.duration(days=pl.lit(pl.Series(rng.integers(0, 10, count))))
    published = pl.lit(moment + timedelta(days=1)) + days
    return rows.with_columns(
        pl.Series("value", rng.normal(0.0, 1.0, count)),
        published.alias("session"),
        # The day after counts as after the close, wherever the market is.
        (published.cast(known.schema["knowledge_time"]) + pl.duration(days=1)).alias(
            "knowledge_time"
        ),
        pl.col("revision") + 1,
    )


def _delays(most_seconds: int, count: int, rng: np.random.Generator) -> pl.Expr:
    return pl.duration(seconds=pl.lit(pl.Series(rng.integers(0, most_seconds, count))))
