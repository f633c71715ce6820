"""Planted leaks that one expression over a symbol's bars commits."""

import polars as pl

from trading_assets_tests.features.planted_columns import (
    CLOSE,
    QUOTED,
    RETURN,
    SESSION,
    VOLUME,
    by_expression,
    catalogue,
)


@by_expression
def next_close() -> pl.Expr:
    """The shift has the wrong sign, so the row holds the next close."""
    return CLOSE.shift(-1)


@by_expression
def noisy_label() -> pl.Expr:
    """The label, the next return, serves as a feature under noise."""
    return RETURN.shift(-1) + 0.5 * SESSION.dt.epoch("d").sin()


@by_expression
def window_off_by_one() -> pl.Expr:
    """The rolling maximum ends one bar too late."""
    return CLOSE.rolling_max(20).shift(-1)


@by_expression
def centred_average() -> pl.Expr:
    """The average is centred, so half of its window lies ahead."""
    return CLOSE.rolling_mean(5, center=True)


@by_expression
def chikou_span() -> pl.Expr:
    """Ichimoku's lagging span writes the close 26 bars back."""
    return CLOSE.shift(-26)


@by_expression
def fractal_high() -> pl.Expr:
    """A swing high is marked on its own bar, though two lower bars after it confirm it."""
    return (pl.col("high") == pl.col("high").rolling_max(5, center=True)).cast(pl.Float64)


@by_expression
def full_sample_z_score() -> pl.Expr:
    """Mean and standard deviation are those of all bars."""
    return (CLOSE - CLOSE.mean()) / CLOSE.std()


@by_expression
def full_sample_min_max() -> pl.Expr:
    """Minimum and maximum are those of all bars."""
    return (CLOSE - CLOSE.min()) / (CLOSE.max() - CLOSE.min())


@by_expression
def full_sample_rank() -> pl.Expr:
    """The percentile is that among all bars, later ones too."""
    return CLOSE.rank() / pl.len()


@by_expression
def winsorised_on_all() -> pl.Expr:
    """Extreme returns are cut at the quantiles of all bars."""
    return RETURN.clip(RETURN.quantile(0.05), RETURN.quantile(0.95))


@by_expression
def scaled_by_last_close() -> pl.Expr:
    """The price is expressed in units of the last close."""
    return CLOSE / CLOSE.last()


@by_expression
def back_filled() -> pl.Expr:
    """A missing close is filled with the next one."""
    return QUOTED.backward_fill()


@by_expression
def filled_with_mean() -> pl.Expr:
    """A missing close is filled with the mean of all bars."""
    return QUOTED.fill_null(QUOTED.mean())


@by_expression
def interpolated() -> pl.Expr:
    """A gap is bridged by a line to the close after it."""
    return QUOTED.interpolate()


@by_expression
def week_closed_on_monday() -> pl.Expr:
    """Friday's weekly bar also holds the Monday after, its interval closed on the wrong side."""
    return pl.when(SESSION.dt.weekday() == 5).then(CLOSE.shift(-1)).forward_fill()


@by_expression
def weekly_bar_on_its_start() -> pl.Expr:
    """The weekly bar is labelled by its first day, so Monday knows Friday's close."""
    return CLOSE.last().over(SESSION.dt.truncate("1w"))


@by_expression
def last_of_month() -> pl.Expr:
    """Each row of a month holds the month's last close."""
    return CLOSE.last().over(SESSION.dt.truncate("1mo"))


@by_expression
def cumulative_from_end() -> pl.Expr:
    """The running volume is summed from the last bar backwards."""
    return VOLUME.cum_sum(reverse=True)


@by_expression
def reversed_ewm() -> pl.Expr:
    """The table was sorted newest first when the exponential average ran."""
    return CLOSE.reverse().ewm_mean(alpha=0.2).reverse()


@by_expression
def bars_until_end() -> pl.Expr:
    """The row knows how many bars the symbol still has."""
    return pl.len() - pl.int_range(pl.len())


LEAKS = catalogue(
    next_close,
    noisy_label,
    window_off_by_one,
    centred_average,
    chikou_span,
    fractal_high,
    full_sample_z_score,
    full_sample_min_max,
    full_sample_rank,
    winsorised_on_all,
    scaled_by_last_close,
    back_filled,
    filled_with_mean,
    interpolated,
    week_closed_on_monday,
    weekly_bar_on_its_start,
    last_of_month,
    cumulative_from_end,
    reversed_ewm,
    bars_until_end,
)
