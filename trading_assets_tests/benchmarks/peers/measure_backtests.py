"""Time one peer's backtest of a cross of two means: `python measure_backtests.py PEER FILE`.

It runs in the peers' environment and prints one line of JSON: bars a second and final equities.
FILE holds what every engine is given: prices (T, N), and at which bars a position is entered or
left at the open.
"""

import json
import sys
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

ROUNDS = 7
# An event loop takes most of a second for one symbol.
LOOPED_SYMBOLS = 3


def measure_vectorbt(data: Any) -> tuple[float, list[float]]:
    """Return bars a second and each symbol's final equity of `Portfolio.from_signals`."""
    import vectorbt as vbt

    close = pd.DataFrame(data["close"])
    opens = pd.DataFrame(data["open"])
    entries, exits = pd.DataFrame(data["entries"]), pd.DataFrame(data["exits"])

    def run() -> Any:
        return vbt.Portfolio.from_signals(
            close,
            entries,
            exits,
            price=opens,
            fees=float(data["fee"]),
            init_cash=float(data["cash"]),
            freq="1min",
        )

    final = run().final_value().tolist()
    return close.size / timed(run, ROUNDS), final


def measure_backtesting(data: Any) -> tuple[float, list[float]]:
    """Return bars a second and final equities of some symbols, one after the other."""
    from backtesting import Backtest, Strategy

    class Cross(Strategy):
        """Orders at a close what the next open fills."""

        column = 0

        def init(self) -> None:
            # What is entered at the next open is decided here.
            self.enters = np.roll(data["entries"][:, self.column], -1)
            self.leaves = np.roll(data["exits"][:, self.column], -1)

        def next(self) -> None:
            place = len(self.data) - 1
            if self.enters[place]:
                self.buy()
            elif self.leaves[place]:
                self.position.close()

    close, opens = data["close"], data["open"]
    final: list[float] = []
    seconds: list[float] = []
    for column in range(LOOPED_SYMBOLS):
        pair = np.stack([opens[:, column], close[:, column]])
        table = pd.DataFrame(
            {
                "Open": pair[0],
                "High": pair.max(axis=0),
                "Low": pair.min(axis=0),
                "Close": pair[1],
            },
            index=pd.date_range("2000-01-01", periods=len(close), freq="min"),
        )
        test = Backtest(
            table,
            Cross,
            cash=float(data["cash"]),
            commission=float(data["fee"]),
            trade_on_close=False,
        )
        started = perf_counter()
        stats = test.run(column=column)
        seconds.append(perf_counter() - started)
        final.append(float(stats["Equity Final [$]"]))
    return len(close) / median(seconds), final


def timed(run: Callable[[], Any], rounds: int) -> float:
    """Return the median seconds of some runs."""
    seconds: list[float] = []
    for _ in range(rounds):
        started = perf_counter()
        run()
        seconds.append(perf_counter() - started)
    return median(seconds)


PEERS = {"vectorbt": measure_vectorbt, "backtesting": measure_backtesting}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rate, equities = PEERS[sys.argv[1]](np.load(sys.argv[2]))
    print(json.dumps({"bars_per_s": rate, "final": equities}), flush=True)
