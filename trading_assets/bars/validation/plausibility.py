"""Bars that keep every rule and still look odd: reported with evidence, never removed."""

from datetime import timedelta

import polars as pl

from trading_assets.bars.actions.companies import actions_by_company, bars_by_company
from trading_assets.bars.validation.judged_rows import slices_by_symbol
from trading_assets.bars.validation.session_moves import SMALLEST_JUMP, large_moves
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import BarLength

OUTLIER = "return_without_an_action_is_plausible"
STALE = "close_moves"
SPLIT_LIKE = "jump_is_no_unknown_split"
LATE = "bar_is_known_in_time"

# Equal closes in a row that are reported: a week, a day, two hours, one hour.
STALE_BARS: dict[BarLength, int] = {"1d": 5, "1h": 7, "5m": 24, "1m": 60}

# New shares for one old share in the splits that companies make, and how far a price may be off.
_RATIOS = (4 / 3, 3 / 2, 2.0, 5 / 2, *map(float, range(3, 11)), 15.0, 20.0, 25.0, 30.0, 50.0, 100.0)
_RATIO_NOISE = 0.04

_SHOWN = ("symbol", "session", "event_time", "rule", "value", "reason")


def find_implausible(
    bars: pl.DataFrame, actions: pl.DataFrame, spec: MarketDataSpec
) -> pl.DataFrame:
    """Return bars that a person should look at.

    - A log total return beyond `max_return_sigmas` robust sigmas, as `large_moves` defines them.
    - A jump of open and close that is within 4 % of a split's usual ratio and that no action
      explains.
    - A run of equal closes, on its last bar.
    - First versions that became known after the publication lag, one line a symbol and session.

    Parameters
    ----------
    bars : DataFrame
        Clean bars of table `raw_bars` by symbol and event_time, unique in these; earlier ones
        improve the judgement. Moves are those of companies: a rename is none.
    actions : DataFrame
        Table `corporate_actions`, as bars under the ticker of the day.
    spec : MarketDataSpec
        Bar length, publication lag and bounds.

    Returns
    -------
    DataFrame
        symbol, session, event_time, rule, value, reason, sorted.
    """
    bound = spec.validation.max_return_sigmas
    n_stale = spec.validation.stale_bars or STALE_BARS[spec.raw_bar_length]
    marked = bars.with_columns(pl.col("symbol").alias("ticker"))
    companies = bars_by_company(marked, actions)
    actions = actions_by_company(actions)
    found: list[pl.DataFrame] = []
    for part in slices_by_symbol(companies) or [companies]:
        moves = large_moves(part, actions, spec.raw_bar_length, bound)
        found += [
            _outliers(moves, bound),
            _split_like_jumps(moves),
            _stale_runs(part, n_stale),
            _late_bars(part, spec.publication_lag_minutes),
        ]
    odd = pl.concat(found)
    if companies is not marked:
        tickers = companies.select("symbol", "event_time", "ticker")
        odd = odd.join(tickers, on=["symbol", "event_time"], how="left")
        odd = odd.select(pl.col("ticker").alias("symbol"), *_SHOWN[1:])
    return odd.sort(_SHOWN[:4])


def _outliers(moves: pl.DataFrame, bound: float) -> pl.DataFrame:
    return moves.filter(pl.col("move").abs() > bound * pl.col("sigma")).select(
        *_SHOWN[:3],
        pl.lit(OUTLIER).alias("rule"),
        pl.format(
            "total return {} %, robust sigma {} %, close {} to {}",
            (100 * pl.col("move").exp() - 100).round(2),
            (100 * pl.col("sigma")).round(2),
            "close_before",
            "close",
        ).alias("value"),
        pl.lit(f"the return is beyond {bound:g} robust sigmas and no action explains it").alias(
            "reason"
        ),
    )


def _split_like_jumps(moves: pl.DataFrame) -> pl.DataFrame:
    # A split lowers all prices of the bar; after a crash or a bid, open and close lie apart.
    ratios = pl.DataFrame(
        {"ratio": [*_RATIOS, *(1 / ratio for ratio in _RATIOS)]}, schema={"ratio": pl.Float64}
    )
    off = (pl.col("move") + pl.col("ratio").log()).abs()
    off_at_open = (
        pl.col("move") + (pl.col("open") / pl.col("close")).log() + pl.col("ratio").log()
    ).abs()
    bar = ["symbol", "session", "event_time"]
    return (
        moves.filter(pl.col("move").abs() > SMALLEST_JUMP)
        .join(ratios, how="cross")
        .filter((off <= _RATIO_NOISE) & (off_at_open <= _RATIO_NOISE))
        .sort(*bar, off)
        .unique(bar, keep="first", maintain_order=True)
        .select(
            *bar,
            pl.lit(SPLIT_LIKE).alias("rule"),
            pl.format(
                "close {} to {}, ratio {} near {}",
                "close_before",
                "close",
                pl.col("move").exp().round(4),
                (1 / pl.col("ratio")).round(4),
            ).alias("value"),
            pl.lit(
                "open and close jumped as in a split, and no action explains it; declare or fetch"
                " the action if it was one"
            ).alias("reason"),
        )
    )


def _stale_runs(bars: pl.DataFrame, least: int) -> pl.DataFrame:
    close, symbol = pl.col("close"), pl.col("symbol")
    begins = ((close != close.shift(1)) | (symbol != symbol.shift(1))).fill_null(value=True)
    starts = bars.select(begins.alias("begins"))["begins"].arg_true().cast(pl.Int64)
    lengths = starts.shift(-1, fill_value=len(bars)) - starts
    is_long = lengths >= least
    ends = starts.filter(is_long) + lengths.filter(is_long) - 1
    return (
        bars[ends]
        .with_columns(lengths.filter(is_long).alias("length"))
        .select(
            *_SHOWN[:3],
            pl.lit(STALE).alias("rule"),
            pl.format("close {} in {} bars", "close", "length").alias("value"),
            pl.lit(f"{least} or more closes in a row are equal").alias("reason"),
        )
    )


def _late_bars(bars: pl.DataFrame, lag_minutes: int) -> pl.DataFrame:
    delay = pl.col("knowledge_time") - pl.col("event_time")
    is_late = (pl.col("revision") == 0) & (delay > timedelta(minutes=lag_minutes))
    return (
        bars.filter(is_late)
        .group_by("symbol", "session")
        .agg(
            pl.col("event_time").last(),
            pl.len().alias("bars"),
            delay.max().dt.total_minutes().alias("delay"),
        )
        .select(
            *_SHOWN[:3],
            pl.lit(LATE).alias("rule"),
            pl.format("{} bars up to {} minutes after they ended", "bars", "delay").alias("value"),
            pl.lit(f"expected a bar to be known {lag_minutes} minutes after it ends").alias(
                "reason"
            ),
        )
    )
