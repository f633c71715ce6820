"""What the UI shows of bars beside their partitions."""

from typing import Any

import polars as pl


def summarize(rows: pl.DataFrame) -> dict[str, Any]:
    """Return counts and dates of bars as metadata."""
    if rows.is_empty():
        return {"dagster/row_count": 0}
    return {
        "dagster/row_count": len(rows),
        "symbols": rows["symbol"].n_unique(),
        "first_session": str(rows["session"].min()),
        "last_session": str(rows["session"].max()),
    }


def markdown_table(frame: pl.DataFrame) -> str:
    """Return a small table as Markdown."""
    header = "| " + " | ".join(frame.columns) + " |\n|" + "---|" * len(frame.columns)
    lines = ["| " + " | ".join(str(value) for value in row) + " |" for row in frame.iter_rows()]
    return "\n".join([header, *lines])
