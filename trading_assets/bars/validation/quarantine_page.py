"""A page with the bars that are in quarantine, one line for each rule that a bar broke."""

import polars as pl

from trading_assets.bars.calendars.coverage import month_key
from trading_assets.bars.validation.html_pages import page, table
from trading_assets.pages import QUARANTINE

MOST_LINES = 1_000


def quarantine_page(title: str, months: pl.DataFrame, quarantine: pl.DataFrame) -> str:
    """Return the page of a run's quarantine, newest bars first.

    Parameters
    ----------
    title : str
        Name of the data set.
    months : DataFrame
        One row a month that the run judged: month, first day as `YYYY-MM-DD`.
    quarantine : DataFrame
        Table `quarantine` of these months; at most `MOST_LINES` of its lines are shown.
    """
    newest = quarantine.sort(
        pl.col("event_time"), "symbol", "rule", descending=[True, False, False]
    ).head(MOST_LINES)
    shown = newest.select(
        month_key(),
        "symbol",
        pl.col("event_time").dt.to_string("%Y-%m-%d %H:%M:%S UTC").alias("time"),
        "rule",
        "value",
        "reason",
    )
    body = f"{_summary(months, quarantine)}{table(shown)}" if len(shown) else _nothing(months)
    return page(QUARANTINE, f"Quarantine of {title}", body)


def _nothing(months: pl.DataFrame) -> str:
    return f"<p>{_span(months)}, judged by the newest run: every bar kept every rule.</p>"


def _summary(months: pl.DataFrame, quarantine: pl.DataFrame) -> str:
    n_lines = len(quarantine)
    n_bars = quarantine.select(pl.struct("symbol", "event_time").n_unique()).item()
    shown = f"the newest {MOST_LINES} of {n_lines} lines" if n_lines > MOST_LINES else "all of them"
    return (
        f"<p>{_span(months)}, judged by the newest run: {n_bars} bars in {n_lines} lines, one for"
        f" each rule that a bar broke; {shown} are shown here.</p>"
        "<p>These bars are used nowhere. The table quarantine of validated_bars holds them all.</p>"
    )


def _span(months: pl.DataFrame) -> str:
    keys = months["month"].sort()
    return f"Month {keys[0]}" if len(keys) == 1 else f"Months {keys[0]} to {keys[-1]}"
