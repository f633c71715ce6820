"""Others' 30 indicators on minute bars, each peer in a process of an environment of its own."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from trading_assets_tests.benchmarks.peer_processes import SOURCES, build_environment, run_peer

REQUIREMENTS = SOURCES / "requirements.txt"
PEERS = {
    "talib": "TA-Lib, a loop over symbols",
    "polars_talib": "polars-talib, over symbols",
    "polars": "polars expressions, over symbols",
    "polars_ta": "polars-ta, over symbols",
    "pandas_ta_classic": "pandas-ta-classic without TA-Lib",
    "stockstats": "stockstats, a loop over symbols",
    "finrl": "FinRL FeatureEngineer, its own columns",
}
N_SYMBOLS, BARS_A_SYMBOL, SEED = 14, 98_000, 7
SECONDS_OF_A_PEER = 900


@dataclass(frozen=True)
class PeerFigure:
    """What one peer took for its columns of some bars, run by run after a warm-up."""

    peer: str
    columns: int
    bars: int
    seconds: tuple[float, ...]
    peak_gb: float
    threads: int

    @property
    def bars_per_second(self) -> float:
        """Return the rate of the median run."""
        return self.bars / statistics.median(self.seconds)


def measure_peers(folder: Path, bars_parquet: Path, only: Sequence[str] = ()) -> list[PeerFigure]:
    """Measure the named peers, or all, one after the other.

    Parameters
    ----------
    folder : Path
        Where the peers' environment is kept; built when missing or when its pins have changed.
    bars_parquet : Path
        Bars with the columns symbol, event_time, open, high, low, close and volume.
    only : Sequence[str], optional
        Names out of `PEERS`.

    Raises
    ------
    ValueError
        If a name is unknown.
    RuntimeError
        If the environment cannot be built or a peer fails.
    """
    for peer in only:
        if peer not in PEERS:
            msg = f"the peer was {peer!r}; expected one of {', '.join(PEERS)}"
            raise ValueError(msg)
    python = build_environment(folder, REQUIREMENTS)
    return [measure_peer(python, peer, bars_parquet) for peer in only or PEERS]


def write_bars(
    file: Path, n_symbols: int = N_SYMBOLS, bars_a_symbol: int = BARS_A_SYMBOL, seed: int = SEED
) -> None:
    """Write minute bars of symbols that walk at random with fat tails, by symbol and time."""
    generator = np.random.default_rng(seed)
    shape = (n_symbols, bars_a_symbol)
    closes = 100 * np.exp(np.cumsum(4e-4 * generator.standard_t(4, shape), axis=1))
    opens = np.roll(closes, 1, axis=1)
    opens[:, 0] = closes[:, 0]
    above, below = np.abs(2e-4 * generator.standard_t(4, (2, *shape)))
    start = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    minutes = pl.datetime_range(
        start, start + timedelta(minutes=bars_a_symbol - 1), "1m", time_unit="us", eager=True
    )
    columns = {
        "open": opens,
        "high": np.maximum(opens, closes) * (1 + above),
        "low": np.minimum(opens, closes) * np.exp(-below),
        "close": closes,
        "volume": np.floor(generator.lognormal(8, 1, shape)) + 1,
    }
    symbols = np.repeat([f"S{number:02}" for number in range(n_symbols)], bars_a_symbol)
    times = np.tile(minutes.to_numpy(), n_symbols)
    table = pl.DataFrame({"symbol": symbols, "event_time": times})
    flat = {name: values.ravel() for name, values in columns.items()}
    table.with_columns(pl.col("event_time").dt.replace_time_zone("UTC"), **flat).write_parquet(file)


def measure_peer(python: Path, peer: str, bars_parquet: Path) -> PeerFigure:
    """Run one peer in a process of its own and return its figures.

    Raises
    ------
    RuntimeError
        If it fails; its last lines are in the message.
    """
    file = str(bars_parquet.resolve())
    values = run_peer(python, "measure_features.py", peer, SECONDS_OF_A_PEER, [file])
    values["seconds"] = tuple(values["seconds"])
    return PeerFigure(**values)
