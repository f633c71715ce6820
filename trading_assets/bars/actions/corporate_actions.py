"""The table of corporate actions: put together from what is known, and checked.

`trading_assets.bars.actions.derived` recovers actions from prices, `action_history` keeps every
version that was known, and `total_returns` puts them into returns and levels.
"""

import polars as pl

from trading_assets.bars.actions.derived import derive_actions
from trading_assets.bars.actions.history import newest_actions
from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.symbols import SYMBOL_PATTERN

# Where these functions were before the table's parts became modules of their own.
__all__ = ["check_actions", "collect_actions", "derive_actions", "total_returns"]

KINDS = ("split", "dividend", "spin_off", "rename")


def collect_actions(
    rows: pl.DataFrame, announced: pl.DataFrame, calendar: ExchangeCalendar | None = None
) -> pl.DataFrame:
    """Return all actions of a data set: those a source announced, and those its prices show.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars`, all revisions, or what `newest_closes` leaves of it; actions are derived
        from the newest, within each feed, as a change from one feed's level to another's is no
        action.
    announced : DataFrame
        Table `corporate_actions` as fetched, all versions; the newest of each action counts, and
        wins over a derived one of its symbol and ex date.
    calendar : ExchangeCalendar, optional
        Dates `knowledge_time` of derived actions; XNYS when absent.

    Returns
    -------
    DataFrame
        Table `corporate_actions`, one row a symbol, ex date and kind.
    """
    announced = newest_actions(announced)
    newest = newest_closes(rows)
    by_feed = [
        derive_actions(newest.filter(feed=feed), calendar)
        for feed in newest["feed"].unique().sort().to_list()
    ]
    # A rename changes no price, so it does not stand for what a price shows on its day.
    explained = announced.filter(pl.col("kind") != "rename")
    derived = (
        pl.concat([announced.clear(), *by_feed])
        .unique(["symbol", "ex_date"], keep="first", maintain_order=True)
        .join(explained, on=["symbol", "ex_date"], how="anti")
    )
    return pl.concat([announced, derived]).sort("symbol", "ex_date", "kind")


def newest_closes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the row that carries each session's close, of each feed, in its newest revision.

    That is the last bar of the session, whatever the bar's length. To reduce parts of a table and
    put them together equals to reduce the table, as long as no session is in two parts.
    """
    session = ["symbol", "session", "feed"]
    time = pl.col("event_time")
    return (
        rows.filter(time == time.max().over(session))
        .sort("event_time", "revision", maintain_order=True)
        .unique(session, keep="last", maintain_order=True)
    )


def check_actions(actions: pl.DataFrame) -> list[str]:
    """Return one sentence for each action that cannot be right; an empty list is a pass."""
    sentences: list[str] = []
    for rule, is_broken in _rules().items():
        broken = actions.filter(is_broken.fill_null(value=True)).unique(maintain_order=True)
        sentences += [
            f"{row['kind']} of {row['symbol']} on {row['ex_date']} {rule}"
            f" (ratio {row['split_ratio']}, cash {row['cash_usd']} USD,"
            f" new symbol {row['new_symbol']})"
            for row in broken.iter_rows(named=True)
        ]
    return sentences


def _rules() -> dict[str, pl.Expr]:
    ratio, cash, kind = pl.col("split_ratio"), pl.col("cash_usd"), pl.col("kind")
    renamed, symbol = pl.col("new_symbol"), pl.col("symbol")
    unplausible_ratio = ~ratio.is_finite() | (ratio <= 0) | (ratio > 1000) | (ratio < 1e-3)
    is_dividend, is_spin_off, is_rename = (kind == name for name in KINDS[1:])
    return {
        "occurs twice; expected one row a symbol, ex date and kind": pl.struct(
            "symbol", "ex_date", "kind"
        ).is_duplicated(),
        f"is of an unknown kind; expected {', '.join(KINDS[:-1])} or rename": ~kind.is_in(KINDS),
        "has no ex date; expected the first session without the entitlement": pl.col(
            "ex_date"
        ).is_null(),
        "has no knowledge time; expected when a trader could first have known": pl.col(
            "knowledge_time"
        ).is_null(),
        "has a split ratio outside 0.001 to 1000": unplausible_ratio,
        "is a split with ratio 1; expected another ratio": (kind == "split") & (ratio == 1),
        "is a dividend with a split ratio; expected ratio 1": is_dividend & (ratio != 1),
        "is a dividend without cash; expected more than 0 USD": is_dividend & (cash == 0),
        "is a spin-off with a split ratio; expected ratio 1": is_spin_off & (ratio != 1),
        "is a spin-off without worth; expected more than 0 USD for one old share": is_spin_off
        & (cash == 0),
        "has negative or unknown cash; expected 0 USD or more": ~cash.is_finite() | (cash < 0),
        "is a rename with a split ratio or cash; expected ratio 1 and 0 USD": is_rename
        & ((ratio != 1) | (cash != 0)),
        "is a rename without a new symbol; expected the ticker from the ex date on": is_rename
        & renamed.is_null(),
        "is a rename to itself; expected another ticker": is_rename
        & (renamed == symbol).fill_null(value=False),
        "is a rename to a symbol that is not allowed; expected capitals, digits, '.', '-' or '/'": (
            is_rename & ~renamed.str.contains(SYMBOL_PATTERN).fill_null(value=True)
        ),
        "is one of two renames to one ticker on one day; expected one": is_rename
        & renamed.is_not_null()
        & pl.struct("kind", "ex_date", "new_symbol").is_duplicated(),
        "has a new symbol; expected none unless renamed": (kind != "rename")
        & renamed.is_not_null(),
    }
