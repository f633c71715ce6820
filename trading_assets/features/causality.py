"""Does a feature know the future? Proof on real rows: remove or replace what came after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

FeatureFunction = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame], pl.DataFrame]

_KEY = ["symbol", "session"]


@dataclass(frozen=True, slots=True)
class FeatureInputs:
    """The three tables that features are computed from."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    series: pl.DataFrame


def find_leaks(
    compute: FeatureFunction,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    moments: Sequence[date],
    seed: int = 0,
) -> list[str]:
    """Return one sentence for each column that changes when the future does.

    For each moment t the features are computed again from bars, actions and series up to t only
    (truncation), and from tables whose rows after t are noise (scramble). Rows up to t have to stay
    equal to the last bit, in every column.

    Parameters
    ----------
    compute : function (bars, actions, series) -> DataFrame
        Returns columns symbol, session and features.
    bars, actions, series : DataFrame
        Tables validated_bars, corporate_actions and series.
    moments : sequence of date
        Sessions after which the future is changed.
    seed : int
        Seed of the noise.
    """
    inputs = FeatureInputs(bars, actions, series)
    full = compute(bars, actions, series)
    leaks: list[str] = []
    for moment in sorted(set(moments)):
        rng = np.random.default_rng([seed, moment.toordinal()])
        known = _up_to(full, moment)
        for treatment, changed in (
            ("were removed", truncate(inputs, moment)),
            ("were replaced by noise", scramble(inputs, moment, rng)),
        ):
            again = compute(changed.bars, changed.actions, changed.series)
            leaks.extend(_differences(known, _up_to(again, moment), moment, treatment))
    return leaks


def truncate(inputs: FeatureInputs, moment: date) -> FeatureInputs:
    """Return the tables without what happened after the session `moment`."""
    return FeatureInputs(
        inputs.bars.filter(pl.col("session") <= moment),
        inputs.actions.filter(pl.col("ex_date") <= moment),
        inputs.series.filter(pl.col("session") <= moment),
    )


def scramble(inputs: FeatureInputs, moment: date, rng: np.random.Generator) -> FeatureInputs:
    """Return the tables with everything after the session `moment` replaced by noise.

    Prices keep low <= open, close <= high; each later session also gets a split, so that an
    adjustment that runs backwards shows.
    """
    is_later = pl.col("session") > moment
    bars = inputs.bars
    level = pl.Series(np.exp(rng.normal(0.0, 0.5, bars.height)))
    noise = {name: pl.Series(rng.uniform(0.9, 1.1, bars.height)) for name in ("open", "close")}
    moved = {name: pl.col(name) * level * noise[name] for name in noise}
    extremes = {
        "high": pl.max_horizontal(*moved.values()) * 1.01,
        "low": pl.min_horizontal(*moved.values()) * 0.99,
        "volume": pl.col("volume") * level + 1.0,
    }
    scrambled = bars.with_columns(
        pl.when(is_later).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in {**moved, **extremes}.items()
    )
    values = pl.Series(rng.normal(0.0, 1.0, inputs.series.height))
    series = inputs.series.with_columns(
        pl.when(is_later).then(values).otherwise(pl.col("value")).alias("value")
    )
    return FeatureInputs(scrambled, _with_later_splits(inputs, moment), series)


def _with_later_splits(inputs: FeatureInputs, moment: date) -> pl.DataFrame:
    actions = inputs.actions
    later = inputs.bars.filter(pl.col("session") > moment).select(
        "symbol",
        pl.col("session").alias("ex_date"),
        pl.lit("split").alias("kind"),
        pl.lit(3.0).alias("split_ratio"),
        pl.lit(0.0).alias("cash_usd"),
        pl.col("knowledge_time"),
        pl.lit(None, dtype=pl.String).alias("new_symbol"),
        pl.lit("scrambled").alias("origin"),
    )
    return pl.concat([actions.filter(pl.col("ex_date") <= moment), later.select(actions.columns)])


def _up_to(features: pl.DataFrame, moment: date) -> pl.DataFrame:
    return features.filter(pl.col("session") <= moment).sort(_KEY)


def _differences(
    known: pl.DataFrame, again: pl.DataFrame, moment: date, treatment: str
) -> list[str]:
    if not known.select(_KEY).equals(again.select(_KEY)) or known.columns != again.columns:
        return [
            f"rows or columns up to {moment} changed when later bars {treatment}: {known.height}"
            f" rows became {again.height}; expected the same rows"
        ]
    sentences: list[str] = []
    for name in known.columns:
        is_changed = known[name].ne_missing(again[name])
        if is_changed.any():
            first = known.filter(is_changed).row(0, named=True)
            sentences.append(
                f"{name} of {first['symbol']} on {first['session']} changed when bars after"
                f" {moment} {treatment} ({int(is_changed.sum())} rows in all); expected the same"
                f" value, computed from bars up to its own close"
            )
    return sentences
