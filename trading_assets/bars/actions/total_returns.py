"""Raw prices and actions put together: returns that last, and levels as of a day.

Returns are ratios of neighbouring bars, so an action on a later bar cannot reach them. Adjusted
levels do change with every later action, hence they are always levels *as of* a session.
"""

from datetime import date

import polars as pl

from trading_assets.errors import DataError

_PRICES = ("open", "high", "low", "close")


def total_returns(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return each bar's total return, r_t = (P_t split_t + cash_t) / P_{t-1} - 1.

    A spin-off counts as cash of its worth, a rename not at all: pass bars and actions through
    `trading_assets.bars.actions.renames.follow_renames` first for returns to continue over it.

    Parameters
    ----------
    bars : DataFrame
        Columns symbol, session, close (unadjusted), and event_time where a session has several
        bars; one row a symbol and time.
    actions : DataFrame
        Table `corporate_actions`, one version of each. An action counts in the symbol's first bar
        on or after its ex date; of two on one ex date both are stated for one old share.

    Returns
    -------
    DataFrame
        symbol, session, event_time (where `bars` has it), total_return (fraction; null on a
        symbol's first bar), sorted, known at the bar's close. Later actions never change it.

    Raises
    ------
    DataError
        If a symbol has two bars of one time.
    """
    ordered = _with_entitlements(bars, actions)
    growth = pl.col("close") * pl.col("split_ratio") + pl.col("cash_usd")
    return ordered.select(
        "symbol",
        *_times(bars),
        (growth / pl.col("close").shift(1).over("symbol") - 1.0).alias("total_return"),
    )


def adjusted_levels(bars: pl.DataFrame, actions: pl.DataFrame, as_of_session: date) -> pl.DataFrame:
    """Return bars back-adjusted to the price level of `as_of_session`.

    With k_t = split_t + cash_t / P_t of the bar that an action counts in, a price of bar s becomes
    ``P_s / (k_{s+1} ... k_T)``, T being the newest bar up to `as_of_session`: its change from bar
    to bar is the total return, and at T the level is the raw price. Volume is multiplied by the
    splits alone, into shares of T.

    Parameters
    ----------
    bars : DataFrame
        Columns symbol, session, close and any of event_time, open, high, low, volume; unadjusted,
        one row a symbol and time. Further columns are kept as they are.
    actions : DataFrame
        Table `corporate_actions`; one acts in a bar, hence none with an ex date after
        `as_of_session` does. Pass it through `actions_known_at` first if some became known after
        their ex date.
    as_of_session : date
        Session at whose close the levels are known; later bars are left out.

    Returns
    -------
    DataFrame
        The columns of `bars`, rows up to `as_of_session`, sorted by symbol and time. For charts and
        indicators of levels only: a result of an earlier `as_of_session` differs by a constant
        factor for each symbol.
    """
    known = bars.filter(pl.col("session") <= as_of_session)
    ordered = _with_entitlements(known, actions)
    factor = pl.col("split_ratio") + pl.col("cash_usd") / pl.col("close")
    prices = [pl.col(name) / _product_after(factor) for name in _PRICES if name in bars.columns]
    volume = [
        pl.col(name) * _product_after(pl.col("split_ratio"))
        for name in ("volume",)
        if name in bars.columns
    ]
    return ordered.with_columns(*prices, *volume).select(bars.columns)


def _product_after(factor: pl.Expr) -> pl.Expr:
    # Of the bars strictly after this one, to the symbol's last.
    return factor.shift(-1).fill_null(1.0).cum_prod(reverse=True).over("symbol")


def _times(bars: pl.DataFrame) -> list[str]:
    return ["session", "event_time"] if "event_time" in bars.columns else ["session"]


def _with_entitlements(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return sorted bars with what one share of the bar before has become at each of them."""
    name = _times(bars)[-1]
    symbol, time = pl.col("symbol"), pl.col(name)
    is_same = symbol == symbol.shift(1)
    # Stored bars are in order; to find that out takes a fraction of sorting them.
    is_behind = (symbol < symbol.shift(1)) | (is_same & (time < time.shift(1)))
    ordered = bars.sort("symbol", name) if bars.select(is_behind.any()).item() else bars
    twice = ordered.filter(is_same & (time == time.shift(1)))
    if not twice.is_empty():
        ticker, moment = twice.select("symbol", name).row(0)
        msg = (
            f"{ticker} has more than one bar of {moment}; expected one, so keep one feed and pass"
            " the rows through as_known_at first"
        )
        raise DataError(msg)
    placed = _actions_by_session(ordered, actions)
    return ordered.with_columns(
        pl.repeat(nothing, len(ordered), dtype=pl.Float64, eager=True)
        .scatter(placed["row"], placed[column])
        .alias(column)
        for column, nothing in (("split_ratio", 1.0), ("cash_usd", 0.0))
    )


def _actions_by_session(ordered: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return split ratio and cash by `row`, the number of the bar that they act in."""
    by_date = actions.group_by("symbol", "ex_date").agg(
        pl.col("split_ratio").product(), pl.col("cash_usd").sum()
    )
    symbol, session = pl.col("symbol"), pl.col("session")
    is_first = (symbol != symbol.shift(1)) | (session != session.shift(1))
    sessions = (
        ordered.select("symbol", "session", pl.int_range(pl.len()).alias("row"))
        .filter(is_first.fill_null(value=True))
        .filter(symbol.is_in(by_date["symbol"].unique().implode()))
    )
    # Each action belongs to the first session with a bar on or after its ex date.
    placed = by_date.sort("ex_date", "symbol").join_asof(
        sessions.sort("session"),
        left_on="ex_date",
        right_on="session",
        by="symbol",
        strategy="forward",
        check_sortedness=False,
    )
    # Of two actions before one bar the second pays on the shares the first has made.
    shares_before = pl.col("split_ratio").cum_prod() / pl.col("split_ratio")
    return (
        placed.filter(pl.col("row").is_not_null())
        .group_by("symbol", "row", maintain_order=True)
        .agg(
            (pl.col("cash_usd") * shares_before).sum(),
            pl.col("split_ratio").product(),
        )
    )
