"""A market in one file, for a simulated broker that runs in a process of its own."""

from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from trading_assets.errors import DataError
from trading_assets.simulation.market import Market


def write_market(path: Path, market: Market) -> None:
    """Write a market's arrays; absent ones are left out."""
    values = {field.name: getattr(market, field.name) for field in fields(market)}
    arrays = {name: np.asarray(value) for name, value in values.items() if value is not None}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_market(path: Path) -> Market:
    """Return the market that `write_market` wrote.

    Raises
    ------
    DataError
        If the file is not such a market.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = {name: stored[name] for name in stored.files}
            symbols = tuple(str(symbol) for symbol in values.pop("symbols"))
            return Market(symbols=symbols, **values)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        msg = f"{path} could not be read as a market ({error}); write it with `write_market`"
        raise DataError(msg) from error
