"""Whether an equity table explains itself: the change of equity is what its columns say."""

import polars as pl

ACCOUNTING_TOLERANCE = 1e-9


def accounting_gaps(equity: pl.DataFrame, initial_equity_usd: float) -> list[str]:
    """Name every session whose change of equity is not explained.

    The change must equal pnl + dividends - costs - financing within 1e-9 of the larger equity.

    Parameters
    ----------
    equity : DataFrame
        Table `equity` of one fold.
    initial_equity_usd : float
        Equity before the fold's first session.

    Returns
    -------
    list of str
        One sentence for each gap; empty when the books conserve.
    """
    before = pl.col("equity_usd").shift(1).over("portfolio").fill_null(initial_equity_usd)
    explained = pl.col("pnl_usd") + pl.col("dividends_usd") - pl.col("costs_usd")
    scale = pl.max_horizontal(pl.col("equity_usd").abs(), before.abs())
    change = pl.col("equity_usd") - before
    gap = (change - (explained - pl.col("financing_usd"))).fill_null(float("nan"))
    # polars takes nan for equal to nan: a gap of nan must not pass.
    is_explained = pl.col("gap").is_finite() & (pl.col("gap").abs() <= ACCOUNTING_TOLERANCE * scale)
    checked = equity.sort("portfolio", "session").with_columns(gap=gap).filter(~is_explained)
    return [
        f"{portfolio} changed by {gap:.9g} USD more on {session} than its pnl, dividends, costs and"
        " financing explain"
        for portfolio, session, gap in checked.select("portfolio", "session", "gap").iter_rows()
    ]
