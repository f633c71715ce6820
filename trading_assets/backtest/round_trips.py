"""Round trips: what one position of a portfolio earned, from flat to flat or to the other side.

A trip begins when a symbol that was flat is held, and ends when it is flat again or held on the
other side; a fill that crosses zero ends one trip and begins the next at the same price. Shares
bought or sold on the way average the entry and realise at the exit, which comes to the same money
as what the position gained session by session:

    net = sum of gains - sum of costs
    gain of a session = price gain of the shares held + cash of corporate actions

A fill through zero splits its session: the shares held after it gain `quantity x (close - price)`,
the rest belongs to the trip that ended, and its cost is split by shares. The entry is the notional
of all fills that open or add: entry price x shares.
"""

import polars as pl

# Shares left by rounding are none.
_LEAST_SHARES = 1e-9
_TRIP = ("portfolio", "symbol")


def find_round_trips(holdings: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Return the round trips of one fold, a row each, by portfolio, symbol and entry.

    Known at the close of the session in which a trip ends.

    Parameters
    ----------
    holdings : DataFrame
        Table `holdings` of the fold: every session of each symbol.
    trades : DataFrame
        Table `trades` of the fold.

    Returns
    -------
    DataFrame
        portfolio, symbol, side (1 long, -1 short), entry (session), sessions (closes at which it
        was held), entry_usd, gain_usd (before costs), cost_usd, is_finished. A trip that the
        window's end cuts off is not finished.
    """
    rows = _moves(holdings, trades)
    old = rows.filter("ends").select(
        *_TRIP,
        "session",
        trip=pl.col("trip") - pl.col("crosses").cast(pl.Int64),
        side=pl.col("last").sign(),
        gain_usd=pl.col("gain_usd") - pl.col("new_gain"),
        cost_usd=pl.col("cost_usd") - pl.col("new_cost"),
        entry_usd=pl.lit(0.0),
        is_held=pl.lit(value=False),
        is_end=pl.lit(value=True),
    )
    own = rows.filter("is_held").select(
        *_TRIP,
        "session",
        "trip",
        side=pl.col("quantity").sign(),
        gain_usd=pl.when("crosses").then("new_gain").otherwise("gain_usd"),
        cost_usd=pl.when("crosses").then("new_cost").otherwise("cost_usd"),
        entry_usd=pl.col("opened") * pl.col("price_usd").fill_null(0.0),
        is_held=pl.lit(value=True),
        is_end=pl.lit(value=False),
    )
    return (
        pl.concat([old, own])
        .group_by(*_TRIP, "trip", maintain_order=True)
        .agg(
            side=pl.col("side").first().cast(pl.Int64),
            entry=pl.col("session").min(),
            sessions=pl.col("is_held").sum().cast(pl.Int64),
            entry_usd=pl.col("entry_usd").sum(),
            gain_usd=pl.col("gain_usd").sum(),
            cost_usd=pl.col("cost_usd").sum(),
            is_finished=pl.col("is_end").any(),
        )
        .sort(*_TRIP, "trip")
        .drop("trip")
    )


def _moves(holdings: pl.DataFrame, trades: pl.DataFrame) -> pl.DataFrame:
    """Return each session of each symbol with what was held before and what a fill changed."""
    keys = ["portfolio", "session", "symbol"]
    quantity, before = pl.col("quantity"), pl.col("before")
    was_held = pl.col("last").abs() > _LEAST_SHARES
    is_held, had = quantity.abs() > _LEAST_SHARES, before.abs() > _LEAST_SHARES
    crosses = had & is_held & (quantity.sign() != before.sign())
    rows = (
        holdings.join(
            trades.select(*keys, "price_usd", "cost_usd", traded="quantity"), on=keys, how="left"
        )
        .sort(*_TRIP, "session")
        .with_columns(
            pl.col("cost_usd").fill_null(0.0),
            # Shares before the fill, as splits of the session have left them.
            before=quantity - pl.col("traded").fill_null(0.0),
            last=quantity.shift(1).over(_TRIP).fill_null(0.0),
        )
    )
    opens = is_held & ~had
    # A payout closes a position without a fill.
    ends = (had | was_held) & (~is_held | crosses)
    adds = is_held & (quantity.sign() == before.sign()) & (quantity.abs() > before.abs())
    opened = (
        pl.when(opens | crosses)
        .then(quantity.abs())
        .when(adds)
        .then((quantity - before).abs())
        .otherwise(0.0)
    )
    share = quantity.abs() / (quantity.abs() + before.abs())
    none = pl.lit(0.0)
    return rows.with_columns(
        trip=(opens | crosses).cast(pl.Int64).cum_sum().over(_TRIP),
        is_held=is_held,
        crosses=crosses,
        ends=ends,
        opened=opened,
        new_gain=pl.when(crosses)
        .then(quantity * (pl.col("close_usd") - pl.col("price_usd")))
        .otherwise(none),
        new_cost=pl.when(crosses).then(pl.col("cost_usd") * share).otherwise(none),
    )
