"""Honest columns that look like the planted leaks; the certificate has to let them pass."""

import numpy as np
import polars as pl

from trading_assets.features.scrambling import FeatureInputs
from trading_assets_tests.features.planted_columns import (
    CLOSE,
    KEY,
    QUOTED,
    RETURN,
    SESSION,
    VOLUME,
    by_array,
    by_expression,
    by_table,
    catalogue,
)
from trading_assets_tests.features.regimes import filter_regimes

TRAINING_BARS = 250


@by_expression
def previous_close() -> pl.Expr:
    """The close of the bar before."""
    return CLOSE.shift(1)


@by_expression
def trailing_mean() -> pl.Expr:
    """An average that ends with the row."""
    return CLOSE.rolling_mean(20)


@by_expression
def expanding_z_score() -> pl.Expr:
    """Mean and standard deviation are those of the bars so far."""
    count = pl.int_range(1, pl.len() + 1)
    mean = CLOSE.cum_sum() / count
    return (CLOSE - mean) / ((CLOSE**2).cum_sum() / count - mean**2 + 1e-9).sqrt()


@by_expression
def expanding_high() -> pl.Expr:
    """The highest close so far."""
    return CLOSE.cum_max()


@by_expression
def z_score_of_training() -> pl.Expr:
    """Mean and standard deviation are those of a training window that ended long before."""
    return (CLOSE - CLOSE.head(TRAINING_BARS).mean()) / CLOSE.head(TRAINING_BARS).std()


@by_expression
def forward_filled() -> pl.Expr:
    """A missing close is filled with the last one."""
    return QUOTED.forward_fill()


@by_expression
def trailing_ewm() -> pl.Expr:
    """An exponential average that runs forwards."""
    return CLOSE.ewm_mean(alpha=0.2)


@by_expression
def completed_week() -> pl.Expr:
    """Friday's close stands from Friday on."""
    return pl.when(SESSION.dt.weekday() == 5).then(CLOSE).forward_fill()


@by_expression
def month_so_far() -> pl.Expr:
    """The highest close of the running month up to the row."""
    return CLOSE.cum_max().over(SESSION.dt.truncate("1mo"))


@by_expression
def encoded_by_known_labels() -> pl.Expr:
    """A weekday stands for the mean return that followed its earlier days."""
    # The return of row t is the label of row t - 1.
    return RETURN.fill_null(0.0).cum_sum().over(SESSION.dt.weekday())


@by_array
def filtered_regime(log_close: np.ndarray) -> np.ndarray:
    """An HMM's state probabilities given the returns so far."""
    return filter_regimes(np.diff(log_close, prepend=log_close[0]))


@by_array
def causal_filter(log_close: np.ndarray) -> np.ndarray:
    """A low-pass that runs forwards only."""
    from scipy.signal import butter, lfilter

    return lfilter(*butter(2, 0.1), log_close)


@by_table
def forward_adjusted(inputs: FeatureInputs) -> pl.DataFrame:
    """Prices are multiplied by the splits that came before them."""
    parts = []
    for (symbol,), rows in inputs.bars.partition_by("symbol", as_dict=True).items():
        own = inputs.actions.filter(
            (pl.col("symbol") == symbol) & (pl.col("kind") == "split")
        ).sort("ex_date")
        so_far = np.append(1.0, np.cumprod(own["split_ratio"].to_numpy()))
        place = np.searchsorted(own["ex_date"].to_numpy(), rows["session"].to_numpy(), "right")
        values = rows["close"].to_numpy() * so_far[place]
        parts.append(rows.with_columns(pl.Series("planted", values)))
    return pl.concat(parts)


@by_table
def rank_by_trailing_volume(inputs: FeatureInputs) -> pl.DataFrame:
    """Symbols are ranked each session, by the volume of the 20 bars that end there."""
    trailing = VOLUME.rolling_sum(20).over("symbol")
    return inputs.bars.with_columns(trailing.rank().over("session").alias("planted"))


@by_table
def universe_of_the_day(inputs: FeatureInputs) -> pl.DataFrame:
    """How many symbols trade at the session."""
    return inputs.bars.with_columns(pl.len().over("session").alias("planted"))


@by_table
def news_joined_backward(inputs: FeatureInputs) -> pl.DataFrame:
    """The last headline published by the session."""
    return _last_published(inputs, "news", by="symbol")


@by_table
def macro_as_published(inputs: FeatureInputs) -> pl.DataFrame:
    """The newest release, a revision included once it is out."""
    return _last_published(inputs, "macro")


def _last_published(inputs: FeatureInputs, name: str, by: str | None = None) -> pl.DataFrame:
    values = inputs.series.filter(pl.col("series") == name).sort(
        "session", "event_time", "revision"
    )
    return (
        inputs.bars.select(*KEY)
        .sort("session")
        .join_asof(
            values.select(*KEY if by else ["session"], pl.col("value").alias("planted")),
            on="session",
            by=by,
            check_sortedness=False,
        )
    )


HONEST = catalogue(
    previous_close,
    trailing_mean,
    expanding_z_score,
    expanding_high,
    z_score_of_training,
    forward_filled,
    trailing_ewm,
    completed_week,
    month_so_far,
    encoded_by_known_labels,
    filtered_regime,
    causal_filter,
    forward_adjusted,
    rank_by_trailing_volume,
    universe_of_the_day,
    news_joined_backward,
    macro_as_published,
)
