"""What was known of each series when a decision was made."""

import polars as pl

from trading_assets.bars.series.readers import MARKET_WIDE
from trading_assets.errors import UserError
from trading_assets.schema import UTC_TIME, conform


def series_as_of(series: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """Return each decision with the newest value of each series that was known by then.

    The newest value is that of the latest period of which anything was known, and of that period
    the newest vintage known. A series about no single symbol (`*`) counts for all symbols, unless
    the symbol has a known value of its own under the same name.

    Parameters
    ----------
    series : DataFrame
        Table `series`, all rows; order does not matter.
    decisions : DataFrame
        `symbol` and `decision_time` (UTC), with any further columns.

    Returns
    -------
    DataFrame
        `decisions`, rows and columns in their order, and a Float64 column a series by its name,
        names in order; null where nothing was known. A row uses only series rows whose
        `knowledge_time` is not after its `decision_time`.

    Raises
    ------
    UserError
        If `decisions` lacks a column, has times without a zone, or a column called as a series is.
    """
    series = conform("series", series)
    names: list[str] = series["series"].unique().sort().to_list()
    _require_decisions(decisions, names)
    left = decisions.select(
        "symbol",
        pl.lit(MARKET_WIDE).alias("everyone"),
        pl.col("decision_time").cast(UTC_TIME),
        pl.int_range(pl.len()).alias("position"),
    ).sort("decision_time", maintain_order=True)
    news = _advances(series)
    in_order = left["position"].arg_sort()
    known: list[pl.Series] = []
    for name in names:
        right = news.filter(pl.col("series") == name).select("symbol", "knowledge_time", "value")
        own, everyone = (_known(left, right, by) for by in ("symbol", "everyone"))
        known.append(own.zip_with(own.is_not_null(), everyone).gather(in_order).alias(name))
    return decisions.hstack(known)


def _advances(series: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that replaced the value known before, by knowledge time.

    A late revision of an older period, or of an older vintage, is no advance.
    """
    line = ["series", "symbol"]
    age = pl.struct("event_time", "session", "revision").rank("dense").over(line)
    return (
        series.with_columns(age.alias("age"))
        .sort("knowledge_time", "age")
        .filter(pl.col("age") == pl.col("age").cum_max().over(line))
    )


def _known(left: pl.DataFrame, right: pl.DataFrame, by: str) -> pl.Series:
    # Both sides are sorted by time above; within groups polars cannot see it.
    return left.join_asof(
        right,
        left_on="decision_time",
        right_on="knowledge_time",
        by_left=by,
        by_right="symbol",
        strategy="backward",
        check_sortedness=False,
    )["value"]


def _require_decisions(decisions: pl.DataFrame, names: list[str]) -> None:
    missing = [name for name in ("symbol", "decision_time") if name not in decisions.columns]
    if missing:
        msg = f"decisions lack {', '.join(missing)}; expected the columns symbol and decision_time"
        raise UserError(msg)
    dtype = decisions.schema["decision_time"]
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        msg = f"decision_time was {dtype}; expected times with a zone such as UTC"
        raise UserError(msg)
    taken = [name for name in names if name in decisions.columns]
    if taken:
        msg = f"decisions have a column {taken[0]}, as a series is called; rename one of the two"
        raise UserError(msg)
