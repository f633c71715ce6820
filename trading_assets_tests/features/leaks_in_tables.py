"""Planted leaks across tables and symbols: actions, series, universe, panels."""

import numpy as np
import polars as pl

from trading_assets.features.scrambling import FeatureInputs
from trading_assets_tests.features.planted_columns import (
    CLOSE,
    KEY,
    RETURN,
    SESSION,
    VOLUME,
    by_table,
    catalogue,
)

ABOUT = pl.col("event_time").dt.date().alias("about")


@by_table
def back_adjusted_for_splits(inputs: FeatureInputs) -> pl.DataFrame:
    """Prices are divided by the splits that come after them."""
    return _back_adjusted(inputs, "split", pl.col("split_ratio"))


@by_table
def back_adjusted_for_dividends(inputs: FeatureInputs) -> pl.DataFrame:
    """Prices are lowered by the dividends that go ex after them, as vendors' adjusted closes."""
    return _back_adjusted(inputs, "dividend", 1.0 + 0.01 * pl.col("cash_usd"))


@by_table
def days_until_action(inputs: FeatureInputs) -> pl.DataFrame:
    """The next ex-date is known before anyone announced it."""
    actions = inputs.actions.select("symbol", "ex_date").unique().sort("ex_date")
    joined = inputs.bars.sort("session").join_asof(
        actions,
        left_on="session",
        right_on="ex_date",
        by="symbol",
        strategy="forward",
        check_sortedness=False,
    )
    return joined.with_columns((pl.col("ex_date") - SESSION).dt.total_days().alias("planted"))


@by_table
def survivors_only(inputs: FeatureInputs) -> pl.DataFrame:
    """Only symbols that still trade at the end have rows."""
    last = inputs.bars["session"].max()
    alive = inputs.bars.filter(last == SESSION)["symbol"].to_list()
    return inputs.bars.filter(pl.col("symbol").is_in(alive)).with_columns(CLOSE.alias("planted"))


@by_table
def rank_by_final_volume(inputs: FeatureInputs) -> pl.DataFrame:
    """Symbols are ranked once, by the volume of their last bar."""
    final = inputs.bars.group_by("symbol").agg(VOLUME.sort_by("session").last().alias("final"))
    ranks = final.select("symbol", pl.col("final").rank().alias("planted"))
    return inputs.bars.join(ranks, on="symbol")


@by_table
def index_of_final_weights(inputs: FeatureInputs) -> pl.DataFrame:
    """The market's level weighs symbols by what they are worth at the end."""
    final = inputs.bars.with_columns(CLOSE.last().over("symbol").alias("final"))
    return final.with_columns((CLOSE * pl.col("final")).sum().over("session").alias("planted"))


@by_table
def full_sample_pca(inputs: FeatureInputs) -> pl.DataFrame:
    """The principal component comes from the returns of all sessions."""
    symbols, returns = _panel(inputs.bars)
    loading = np.linalg.svd(returns - returns.mean(axis=0), full_matrices=False)[2][0]
    loadings = pl.DataFrame({"symbol": symbols, "loading": loading * np.sign(loading.sum())})
    day = RETURN.over("symbol").fill_null(0.0)
    return inputs.bars.join(loadings, on="symbol").with_columns(
        (day * pl.col("loading")).alias("planted")
    )


@by_table
def full_sample_beta(inputs: FeatureInputs) -> pl.DataFrame:
    """The market's share is taken out with a beta of all sessions."""
    symbols, returns = _panel(inputs.bars)
    market = returns.mean(axis=1)
    betas = pl.DataFrame({"symbol": symbols, "beta": market @ returns / (market @ market)})
    day = RETURN.over("symbol").fill_null(0.0)
    return inputs.bars.join(betas, on="symbol").with_columns(
        (day * (1.0 - pl.col("beta"))).alias("planted")
    )


@by_table
def cumulated_across_symbols(inputs: FeatureInputs) -> pl.DataFrame:
    """The running sum forgets to start anew, so a symbol begins with the end of the one before."""
    return inputs.bars.with_columns(VOLUME.cum_sum().alias("planted"))


@by_table
def clipped_at_global_quantiles(inputs: FeatureInputs) -> pl.DataFrame:
    """Returns are clipped at quantiles of training and test rows of all symbols."""
    days = inputs.bars.with_columns(RETURN.over("symbol").alias("day"))
    day = pl.col("day")
    return days.with_columns(day.clip(day.quantile(0.02), day.quantile(0.98)).alias("planted"))


@by_table
def target_encoded(inputs: FeatureInputs) -> pl.DataFrame:
    """A weekday stands for the mean next return of all its days."""
    label = RETURN.shift(-1).over("symbol")
    return inputs.bars.with_columns(label.alias("label")).with_columns(
        pl.col("label").mean().over("symbol", SESSION.dt.weekday()).alias("planted")
    )


@by_table
def news_joined_forward(inputs: FeatureInputs) -> pl.DataFrame:
    """The as-of join takes the next headline instead of the last."""
    return _joined(inputs, "news", "session", "forward", by="symbol")


@by_table
def earnings_joined_nearest(inputs: FeatureInputs) -> pl.DataFrame:
    """The as-of join takes the nearest report, before or after."""
    return _joined(inputs, "earnings", "session", "nearest", by="symbol")


@by_table
def news_by_day_of_event(inputs: FeatureInputs) -> pl.DataFrame:
    """A headline counts from the day that it is about, though published after the close."""
    return _joined(inputs, "news", "about", "backward", by="symbol")


@by_table
def earnings_at_period_end(inputs: FeatureInputs) -> pl.DataFrame:
    """Earnings are known when the quarter ends, weeks before their publication."""
    return _joined(inputs, "earnings", "about", "backward", by="symbol")


@by_table
def macro_by_reference_month(inputs: FeatureInputs) -> pl.DataFrame:
    """A statistic counts from the end of its month, not from its release."""
    return _joined(inputs, "macro", "about", "backward")


@by_table
def revised_vintage(inputs: FeatureInputs) -> pl.DataFrame:
    """The revised value stands at the date of the first release."""
    macro = inputs.series.filter(pl.col("series") == "macro").sort("event_time", "revision")
    revised = macro.group_by("event_time", maintain_order=True).agg(
        SESSION.first(), pl.col("value").last().alias("planted")
    )
    return inputs.bars.sort("session").join_asof(
        revised.sort("session"), on="session", check_sortedness=False
    )


def _back_adjusted(inputs: FeatureInputs, kind: str, factor: pl.Expr) -> pl.DataFrame:
    parts = []
    for (symbol,), rows in inputs.bars.partition_by("symbol", as_dict=True).items():
        own = inputs.actions.filter((pl.col("symbol") == symbol) & (pl.col("kind") == kind))
        own = own.sort("ex_date").select("ex_date", factor.alias("factor"))
        later = np.append(np.cumprod(own["factor"].to_numpy()[::-1])[::-1], 1.0)
        place = np.searchsorted(own["ex_date"].to_numpy(), rows["session"].to_numpy(), "right")
        adjusted = rows["close"].to_numpy() / later[place]
        parts.append(rows.with_columns(pl.Series("planted", adjusted)))
    return pl.concat(parts)


def _joined(
    inputs: FeatureInputs, name: str, day: str, strategy: str, by: str | None = None
) -> pl.DataFrame:
    values = inputs.series.filter(pl.col("series") == name).with_columns(ABOUT)
    values = values.select(
        *(["symbol"] if by else []), pl.col(day).alias("day"), pl.col("value").alias("planted")
    )
    return (
        inputs.bars.select(*KEY)
        .sort("session")
        .join_asof(
            values.sort("day"),
            left_on="session",
            right_on="day",
            by=by,
            strategy=strategy,
            check_sortedness=False,
        )
    )


def _panel(bars: pl.DataFrame) -> tuple[list[str], np.ndarray]:
    wide = bars.select(*KEY, RETURN.over("symbol").fill_null(0.0).alias("day"))
    wide = wide.pivot(on="symbol", index="session", values="day").sort("session").fill_null(0.0)
    return wide.columns[1:], wide.drop("session").to_numpy()


LEAKS = catalogue(
    back_adjusted_for_splits,
    back_adjusted_for_dividends,
    days_until_action,
    survivors_only,
    rank_by_final_volume,
    index_of_final_weights,
    full_sample_pca,
    full_sample_beta,
    cumulated_across_symbols,
    clipped_at_global_quantiles,
    target_encoded,
    news_joined_forward,
    earnings_joined_nearest,
    news_by_day_of_event,
    earnings_at_period_end,
    macro_by_reference_month,
    revised_vintage,
)
