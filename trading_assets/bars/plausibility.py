"""Bars that keep every rule and still look odd: reported with evidence, never removed."""

import polars as pl

from trading_assets.bars.corporate_actions import total_returns

OUTLIER = "return_without_an_action_is_plausible"
STALE = "close_moves"

STALE_BARS = 5

_SIGMA_BARS = 252
_MIN_SIGMA_BARS = 10
# Median of |x| of a normal variable is 0.6745 standard deviations.
_MEDIAN_TO_SIGMA = 1.4826


def find_implausible(
    bars: pl.DataFrame, actions: pl.DataFrame, max_return_sigmas: float
) -> pl.DataFrame:
    """Return bars that a person should look at.

    Parameters
    ----------
    bars : DataFrame
        Clean bars with columns symbol, session, close; earlier ones improve the judgement.
    actions : DataFrame
        Table `corporate_actions`.
    max_return_sigmas : float
        A log total return beyond this many robust sigmas is reported. Sigma is 1.4826 x median
        |log total return| of the 252 bars before (of all bars given where fewer than 10 precede).

    Returns
    -------
    DataFrame
        symbol, session, rule, value, reason. A run of 5 or more equal closes is reported on its
        last bar.
    """
    return pl.concat([_outliers(bars, actions, max_return_sigmas), _stale_runs(bars)]).sort(
        "symbol", "session", "rule"
    )


def _outliers(bars: pl.DataFrame, actions: pl.DataFrame, max_sigmas: float) -> pl.DataFrame:
    log_return = pl.col("total_return").log1p()
    median = log_return.abs().rolling_median(_SIGMA_BARS, min_samples=_MIN_SIGMA_BARS)
    sigma = _MEDIAN_TO_SIGMA * pl.coalesce(median.shift(1), log_return.abs().median())
    judged = (
        total_returns(bars, actions)
        .filter(pl.col("total_return").is_not_null())
        .with_columns(
            log_return.alias("log_return"),
            sigma.over("symbol", order_by="session").alias("sigma"),
        )
    )
    return judged.filter(
        (pl.col("sigma") > 0) & (pl.col("log_return").abs() > max_sigmas * pl.col("sigma"))
    ).select(
        "symbol",
        "session",
        pl.lit(OUTLIER).alias("rule"),
        pl.format(
            "total return {} %, robust sigma {} %",
            (100 * pl.col("total_return")).round(2),
            (100 * pl.col("sigma")).round(2),
        ).alias("value"),
        pl.lit(
            f"the return is beyond {max_sigmas:g} robust sigmas and no action explains it"
        ).alias("reason"),
    )


def _stale_runs(bars: pl.DataFrame) -> pl.DataFrame:
    run = (pl.col("close") != pl.col("close").shift(1)).cum_sum().over("symbol").fill_null(0)
    return (
        bars.sort("symbol", "session")
        .with_columns(run.alias("run"))
        .group_by("symbol", "run", maintain_order=True)
        .agg(pl.col("session").last(), pl.col("close").first(), pl.len().alias("length"))
        .filter(pl.col("length") >= STALE_BARS)
        .select(
            "symbol",
            "session",
            pl.lit(STALE).alias("rule"),
            pl.format("close {} in {} bars", pl.col("close"), pl.col("length")).alias("value"),
            pl.lit(f"{STALE_BARS} or more closes in a row are equal").alias("reason"),
        )
    )
