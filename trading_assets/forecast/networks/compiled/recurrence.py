"""An LSTM over strips of overlapping windows, each from a state of 0, forward and backward.

Window l of a strip reads the bars l .. l + T - 1, so the gates' share of a bar is computed once for
the strip and read by every window that holds the bar. Gates stand in the order input, forget,
output, candidate.
"""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import reordering_entry_point
from trading_assets.forecast.networks.compiled.arithmetic import (
    add_outer,
    add_product,
    add_turned_product,
    logistic,
    tangent,
)

Tensor = NDArray[np.float32]

_ONE = np.float32(1.0)


@reordering_entry_point
def run_recurrence(
    bars: Tensor, weight: Tensor, gates: Tensor, cells: Tensor, states: Tensor
) -> None:
    """Run the LSTM over every window of every strip.

    Parameters
    ----------
    bars : float32 (S, L + T - 1, 4 U)
        What each bar adds to the gates, biases included.
    weight : float32 (U, 4 U)
        From the state before to the gates.
    gates : float32 (S, T, L, 4 U)
        Written: gates after their functions.
    cells, states : float32 (S, T + 1, L, U)
        Written, with 0 at the start.
    """
    n_strips, n_bars, length, width = gates.shape
    units = weight.shape[0]
    for strip in range(n_strips):
        cells[strip, 0] = 0.0
        states[strip, 0] = 0.0
        for bar in range(n_bars):
            gate = gates[strip, bar]
            for row in range(length):
                for g in range(width):
                    gate[row, g] = bars[strip, row + bar, g]
            if bar > 0:
                add_product(gate, states[strip, bar], weight)
            before, cell, state = (
                cells[strip, bar],
                cells[strip, bar + 1],
                states[strip, bar + 1],
            )
            for row in range(length):
                for g in range(3 * units):
                    gate[row, g] = logistic(gate[row, g])
                for g in range(3 * units, width):
                    gate[row, g] = tangent(gate[row, g])
                for u in range(units):
                    kept = gate[row, units + u] * before[row, u]
                    value = kept + gate[row, u] * gate[row, 3 * units + u]
                    cell[row, u] = value
                    state[row, u] = gate[row, 2 * units + u] * tangent(value)


@reordering_entry_point
def reverse_recurrence(
    gradient: Tensor,
    weight: Tensor,
    gates: Tensor,
    cells: Tensor,
    states: Tensor,
    bars_gradient: Tensor,
    weight_gradient: Tensor,
) -> None:
    """Add the gradients of what `run_recurrence` was given.

    Parameters
    ----------
    gradient : float32 (S, T, L, U)
        Of the states.
    weight, gates, cells, states : float32
        Of the forward run.
    bars_gradient : float32 (S, L + T - 1, 4 U)
        Added to.
    weight_gradient : float32 (U, 4 U)
        Added to.
    """
    n_strips, n_bars, length, width = gates.shape
    units = weight.shape[0]
    gate_gradient = np.empty((length, width), np.float32)
    state_gradient = np.empty((length, units), np.float32)
    cell_gradient = np.empty((length, units), np.float32)
    bent, of_cell = np.empty(units, np.float32), np.empty(units, np.float32)
    for strip in range(n_strips):
        cell_gradient[:] = 0.0
        for bar in range(n_bars - 1, -1, -1):
            for row in range(length):
                for u in range(units):
                    state_gradient[row, u] = gradient[strip, bar, row, u]
            if bar < n_bars - 1:
                add_turned_product(state_gradient, gate_gradient, weight)
            gate = gates[strip, bar]
            before, cell = cells[strip, bar], cells[strip, bar + 1]
            # One array is written in each loop: more, and loops are not made into vectors.
            for row in range(length):
                held, of_state = gate[row], state_gradient[row]
                wanted, of_kept = gate_gradient[row], cell_gradient[row]
                for u in range(units):
                    bent[u] = tangent(cell[row, u])
                for u in range(units):
                    shown = held[2 * units + u]
                    of_cell[u] = of_kept[u] + of_state[u] * shown * (_ONE - bent[u] * bent[u])
                for u in range(units):
                    put, new = held[u], held[3 * units + u]
                    wanted[u] = of_cell[u] * new * put * (_ONE - put)
                for u in range(units):
                    kept = held[units + u]
                    wanted[units + u] = of_cell[u] * before[row, u] * kept * (_ONE - kept)
                for u in range(units):
                    shown = held[2 * units + u]
                    wanted[2 * units + u] = of_state[u] * bent[u] * shown * (_ONE - shown)
                for u in range(units):
                    put, new = held[u], held[3 * units + u]
                    wanted[3 * units + u] = of_cell[u] * put * (_ONE - new * new)
                for u in range(units):
                    of_kept[u] = of_cell[u] * held[units + u]
                for g in range(width):
                    bars_gradient[strip, row + bar, g] += gate_gradient[row, g]
            if bar > 0:
                add_outer(weight_gradient, states[strip, bar], gate_gradient)
