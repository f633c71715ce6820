"""FinRL's `FeatureEngineer` with its own eight columns, on one table of all symbols."""

import contextlib
import io
from collections.abc import Callable

import pandas as pd
import polars as pl
from bars_by_symbol import PRICES, Columns
from finrl_package import enter_package


def prepare(bars: pl.DataFrame) -> Callable[[], list[Columns]]:
    """Return the work on all symbols."""
    enter_package()
    from finrl.config import INDICATORS
    from finrl.meta.preprocessor.preprocessors import FeatureEngineer

    table = pd.DataFrame({name: bars[name].to_numpy() for name in PRICES})
    table["date"] = bars["event_time"].to_numpy()
    table["tic"] = bars["symbol"].to_list()

    def work() -> list[Columns]:
        # It tells of each step, and of what went wrong, on the standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            found = FeatureEngineer(tech_indicator_list=INDICATORS).preprocess_data(table)
        return [{name: found[name] for name in INDICATORS}]

    return work
