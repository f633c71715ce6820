"""FinRL's `FeatureEngineer` with its own eight columns, on one table of all symbols.

Its package loads trading and training when it is imported, and with them Alpaca, WRDS and torch.
It is entered here without that, and Yahoo's client, which the features import, is left empty.
"""

import contextlib
import importlib.util
import io
import sys
from collections.abc import Callable
from types import ModuleType

import pandas as pd
import polars as pl
from bars_by_symbol import PRICES, Columns


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


def enter_package() -> None:
    """Make FinRL's modules importable without running its package's own imports."""
    found = importlib.util.find_spec("finrl")
    if found is None:
        msg = "FinRL is not installed; install requirements.txt"
        raise RuntimeError(msg)
    sys.modules["finrl"] = importlib.util.module_from_spec(found)
    sys.modules["yfinance"] = ModuleType("yfinance")
