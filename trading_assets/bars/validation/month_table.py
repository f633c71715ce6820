"""One row a month with everything that is expected of the bars in numbers.

The clean rows are counted here once more, by their own expressions: what the row rules let through
by mistake is found before it is used.
"""

import polars as pl

from trading_assets.bars.validation.bars import ValidatedMonths
from trading_assets.bars.validation.judged_rows import rises_strictly
from trading_assets.bars.validation.verdicts import count_by_month
from trading_assets.schema import conform

_PRICES = ("open", "high", "low", "close")


def month_table(validated: ValidatedMonths) -> pl.DataFrame:
    """Return the summary, the counts of quarantined bars by rule, and the counts of bad clean bars.

    Parameters
    ----------
    validated : ValidatedMonths
        What `validate_bars` returned.

    Returns
    -------
    DataFrame
        Columns of `summary` and `rule_counts`, then one Int64 column for each name of
        `clean_row_faults`, one row a month.

    Raises
    ------
    SchemaError
        If the clean rows do not follow table `validated_bars`.
    """
    rows = conform("validated_bars", validated.rows)
    faults = clean_row_faults(rows)
    months = validated.summary["month"].to_list()
    counts = count_by_month(months, {name: rows.filter(is_bad) for name, is_bad in faults.items()})
    return validated.summary.join(validated.rule_counts, on="month", maintain_order="left").join(
        counts, on="month", maintain_order="left"
    )


def clean_row_faults(rows: pl.DataFrame) -> dict[str, pl.Series]:
    """Return which rows of table `validated_bars` are bad, by the name of what is wrong."""
    low, high = pl.col("low"), pl.col("high")
    opened, closed = pl.col("open"), pl.col("close")
    infinite = float("inf")
    is_good = {
        "clean_bars_without_prices": pl.all_horizontal(
            (pl.col(price) > 0) & (pl.col(price) < infinite) for price in _PRICES
        ),
        "clean_bars_with_high_lows": (low <= opened) & (low <= closed),
        "clean_bars_with_low_highs": (opened <= high) & (closed <= high),
        "clean_bars_without_trades": (pl.col("volume") > 0) & (pl.col("volume") < infinite),
        "clean_bars_known_early": pl.col("knowledge_time") >= pl.col("event_time"),
    }
    judged = rows.select(
        (~good).fill_null(value=True).alias(name) for name, good in is_good.items()
    )
    return {
        "clean_bars_repeated": _repeated(rows),
        **{name: judged[name] for name in is_good},
        "clean_bars_of_mixed_feeds": _mixed_feeds(rows),
    }


def _repeated(rows: pl.DataFrame) -> pl.Series:
    if rises_strictly(rows):
        return pl.repeat(value=False, n=len(rows), dtype=pl.Boolean, eager=True)
    return rows.select(pl.struct("symbol", "event_time").is_duplicated()).to_series()


def _mixed_feeds(rows: pl.DataFrame) -> pl.Series:
    if rows["feed"].n_unique() <= 1:
        return pl.repeat(value=False, n=len(rows), dtype=pl.Boolean, eager=True)
    month = pl.col("session").dt.truncate("1mo")
    return rows.select(pl.col("feed").n_unique().over("symbol", month) > 1).to_series()
