"""Rows of a panel laid out as strips: sessions in a row whose windows overlap, trained together."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.dataset import Rows

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Layers = tuple[Classes, Floats, Floats]

STRIP_WINDOWS = 16


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows of a panel with their labels.

    Attributes
    ----------
    rows : Rows
        n rows, none twice.
    classes : int64 (n,)
        0 down, 1 flat, 2 up.
    scaled_returns : float64 (n,)
        Return over the horizon over `volatility * sqrt(horizon)`.
    weights : float64 (n,)
        What rows count for, of mean 1.
    """

    rows: Rows
    classes: Classes
    scaled_returns: Floats
    weights: Floats

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class StripBatch:
    """Strips and the labels of their windows, in the order in which the network encodes them.

    Attributes
    ----------
    bars : float32 (S, I, L + window_bars - 1)
        Inputs.
    classes, scaled_returns, weights : (S x L,)
        Labels; weight 0 where a window is no row.
    """

    bars: torch.Tensor
    classes: torch.Tensor
    scaled_returns: torch.Tensor
    weights: torch.Tensor


class StripTable:
    """Inputs of a panel and the labels of some of its rows, from which strips are cut.

    Parameters
    ----------
    inputs : float32 (N, I, T)
        Model inputs.
    window_bars : int
        Bars of a window; no row has fewer up to its session.
    """

    def __init__(self, inputs: torch.Tensor, window_bars: int) -> None:
        n_symbols, width, n_sessions = inputs.shape
        self.window_bars = window_bars
        # Strips may begin before the first row's window and end after the last session: what lies
        # there has no row, so nothing is made of it.
        before, after = window_bars - 1 + STRIP_WINDOWS, STRIP_WINDOWS
        self._inputs = torch.zeros((n_symbols, width, before + n_sessions + after))
        self._inputs[:, :, before : before + n_sessions] = inputs
        self._before = before
        self.shape = (n_symbols, n_sessions)

    def move_to(self, device: torch.device) -> None:
        """Keep the inputs on a device, where strips are then cut."""
        self._inputs = self._inputs.to(device)

    def shuffle(
        self, labelled: LabelledRows, batch_rows: int, generator: np.random.Generator
    ) -> "StripBatches":
        """Return all rows once in batches of strips, which start anywhere and come in any order."""
        offset = int(generator.integers(STRIP_WINDOWS))
        symbol, start = self._tile(labelled.rows, labelled.weights, offset)
        order = generator.permutation(len(symbol))
        step = max(1, batch_rows // STRIP_WINDOWS)
        return StripBatches(self, symbol[order], start[order], _lay(labelled, self.shape), step)

    def cover(self, rows: Rows, batch_rows: int) -> Iterator[tuple[torch.Tensor, NDArray[np.intp]]]:
        """Give strips that hold all rows, and for each of their windows its row, or -1."""
        number = np.full(self.shape, -1, np.intp)
        number[rows.symbol, rows.session] = np.arange(len(rows))
        symbol, start = self._tile(rows, np.ones(len(rows)), 0)
        step = max(1, batch_rows // STRIP_WINDOWS)
        for first in range(0, len(symbol), step):
            part = slice(first, first + step)
            place, is_session = self.place(symbol[part], start[part])
            found = np.where(is_session, number[place], -1)
            yield self.cut(symbol[part], start[part]), found.ravel()

    def _tile(
        self, rows: Rows, weights: Floats, offset: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return symbol and first session of the strips that hold a row that counts."""
        counted = rows.where(weights > 0.0)
        strip = (counted.session + offset) // STRIP_WINDOWS
        key = np.unique(counted.symbol * (self.shape[1] + 2) + strip)
        symbol, strip = np.divmod(key, self.shape[1] + 2)
        return symbol, strip * STRIP_WINDOWS - offset

    def place(self, symbol: Classes, start: Classes) -> tuple[tuple[Classes, Classes], Flags]:
        """Return where on the panel the strips' windows end, (S, L), and which do end on it."""
        at = start[:, None] + np.arange(STRIP_WINDOWS)
        is_session = (at >= 0) & (at < self.shape[1])
        return (symbol[:, None], np.clip(at, 0, self.shape[1] - 1)), is_session

    def cut(self, symbol: Classes, start: Classes) -> torch.Tensor:
        """Return the bars (S, I, L + window_bars - 1) of strips whose first windows end there."""
        # The first window of a strip ends at its first session.
        total = STRIP_WINDOWS + self.window_bars - 1
        strips = self._inputs.unfold(2, total, 1)
        first = start + self._before - (self.window_bars - 1)
        return strips[self.tensor(symbol), :, self.tensor(first)]

    def tensor(self, values: NDArray[np.generic]) -> torch.Tensor:
        """Return an array in one row, where the inputs are kept."""
        return torch.from_numpy(np.ascontiguousarray(values).reshape(-1)).to(self._inputs.device)


class StripBatches:
    """Batches of strips in an order, cut when they are asked for.

    Parameters
    ----------
    table : StripTable
        Inputs.
    symbol, start : int64 (S,)
        Symbol of each strip, and session at which its first window ends.
    layers : (classes, scaled returns, weights)
        Laid on the panel.
    step : int
        Strips of a batch.
    """

    def __init__(
        self, table: StripTable, symbol: Classes, start: Classes, layers: Layers, step: int
    ) -> None:
        self._table, self._symbol, self._start = table, symbol, start
        self._layers, self._step = layers, step

    def __len__(self) -> int:
        return -(-len(self._symbol) // self._step)

    def __iter__(self) -> Iterator[StripBatch]:
        table = self._table
        classes, returns, weights = self._layers
        for first in range(0, len(self._symbol), self._step):
            symbol = self._symbol[first : first + self._step]
            start = self._start[first : first + self._step]
            place, is_session = table.place(symbol, start)
            yield StripBatch(
                table.cut(symbol, start),
                table.tensor(classes[place]),
                table.tensor(returns[place].astype(np.float32)),
                table.tensor(np.where(is_session, weights[place], 0.0).astype(np.float32)),
            )


def _lay(labelled: LabelledRows, shape: tuple[int, int]) -> Layers:
    """Return classes, scaled returns and weights laid on the panel, 0 where there is no row."""
    at = labelled.rows.symbol, labelled.rows.session
    classes, returns, weights = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
    classes[at] = labelled.classes
    returns[at] = labelled.scaled_returns
    weights[at] = labelled.weights
    return classes, returns, weights
