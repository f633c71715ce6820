"""The bars as pandas tables, apart so that other peers do not load pandas."""

import pandas as pd
import polars as pl
from bars_by_symbol import PRICES


def split_to_frames(bars: pl.DataFrame) -> list[pd.DataFrame]:
    """Return a pandas table of each symbol, its rows named by their time."""
    parts = bars.partition_by("symbol", maintain_order=True)
    return [
        pd.DataFrame(
            {name: part[name].to_numpy() for name in PRICES},
            index=pd.DatetimeIndex(part["event_time"].to_numpy(), name="date"),
        )
        for part in parts
    ]
