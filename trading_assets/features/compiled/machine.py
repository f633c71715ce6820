"""Runs a program over rows of one symbol's table: the only entry to the compiled kernels."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point, kernel
from trading_assets.features.compiled.elementwise import (
    absolute,
    add,
    affine,
    divide,
    exponential,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    normal_probability,
    positive,
    sign,
    square_root,
    subtract,
)
from trading_assets.features.compiled.moments import comoments, line, moments, skewness
from trading_assets.features.compiled.recursive import (
    accumulate,
    fisher,
    smooth,
    stop_and_reverse,
)
from trading_assets.features.compiled.rolling import (
    change,
    decayed_sum,
    fractional_difference,
    highest,
    lag,
    lowest,
    mean_distance,
    rolling_sum,
    rows_since_highest,
    rows_since_lowest,
)
from trading_assets.features.compiled.trading_ranges import (
    directional_movement,
    edge_spread,
    informed_flow,
    true_range,
)

Table = NDArray[np.float64]
Index = NDArray[np.int64]


# The numbers are the codes of `trading_assets.features.operations`; a test runs each of them.
@kernel
def _of_one_row(code: int, x: Table, y: Table, out: Table, p: Table) -> None:
    if code == 0:
        add(x, y, out)
    elif code == 1:
        subtract(x, y, out)
    elif code == 2:
        multiply(x, y, out)
    elif code == 3:
        affine(x, out, p[0], p[1])
    elif code == 4:
        divide(x, y, out, p[0], p[1])
    elif code == 5:
        maximum(x, y, out)
    elif code == 6:
        minimum(x, y, out)
    elif code == 7:
        log(x, out, p[0])
    elif code == 8:
        exponential(x, out)
    elif code == 9:
        square_root(x, out)
    elif code == 10:
        absolute(x, out)
    elif code == 11:
        sign(x, out)
    elif code == 12:
        normal_probability(x, out)
    elif code == 13:
        positive(x, out)
    elif code == 14:
        negative(x, out)


@kernel
def _of_a_window(
    code: int, x: Table, y: Table, out: Table, p: Table, first: int, start: int, stop: int
) -> None:
    bars = int(p[0])
    if code == 20:
        lag(x, out[0], bars, start, stop)
    elif code == 21:
        change(x, out[0], bars, start, stop)
    elif code == 22:
        rolling_sum(x, out[0], bars, p[1], first, start, stop)
    elif code == 23:
        decayed_sum(x, out[0], int(p[1]), p[0], p[2], first, start, stop)
    elif code == 24:
        moments(x, out[0], out[1], bars, first, start, stop)
    elif code == 25:
        comoments(x, y, out[0], out[1], out[2], bars, first, start, stop)
    elif code == 26:
        highest(x, out[0], bars, first, start, stop)
    elif code == 27:
        lowest(x, out[0], bars, first, start, stop)
    elif code == 28:
        mean_distance(x, y, out[0], bars, start, stop)
    elif code == 29:
        line(x, out[0], out[1], bars, first, start, stop)
    elif code == 30:
        fractional_difference(x, out[0], p[0], int(p[1]), start, stop)
    elif code == 31:
        rows_since_highest(x, out[0], bars, first, start, stop)
    elif code == 32:
        rows_since_lowest(x, out[0], bars, first, start, stop)
    elif code == 33:
        skewness(x, out[0], bars, first, start, stop)


@kernel
def _of_its_past(
    code: int, x: Table, y: Table, out: Table, p: Table, first: int, start: int, stop: int
) -> None:
    if code == 41:
        accumulate(x, out[0], first, start, stop)
    elif code == 42:
        fisher(x, out[0], out[1], first, start, stop)
    elif code == 43:
        stop_and_reverse(x, y, out, p[0], p[1], first, start, stop)


@kernel
def _of_bars(
    code: int, columns: Table, read: Index, out: Table, p: Table, start: int, stop: int
) -> None:
    x, y = columns[read[0]], columns[read[1]]
    if code == 60:
        true_range(x, y, columns[read[2]], out[0], start, stop)
    elif code == 61:
        directional_movement(x, y, out[0], out[1], start, stop)
    elif code == 62:
        edge_spread(x, y, columns[read[2]], columns[read[3]], out[0], int(p[0]), start, stop)
    elif code == 63:
        informed_flow(x, y, out[0], int(p[0]), int(p[1]), start, stop)


@kernel
def run(
    instructions: Index, parameters: Table, columns: Table, first: Index, start: int, stop: int
) -> None:
    """Compute rows `start` to `stop` of all columns, see `execute`."""
    for place in range(len(instructions)):
        code = int(instructions[place, 0])
        output = int(instructions[place, 2])
        n_outputs = int(instructions[place, 3])
        known_from = int(first[output])
        read = instructions[place, 4:]
        out = columns[output : output + n_outputs]
        p = parameters[place]
        if code == 40:
            smooth(columns, read, out, p, first[output : output + n_outputs], start, stop)
            continue
        begin = min(max(start, known_from), stop)
        out[:, start:begin] = np.nan
        x = columns[read[0]]
        y = columns[max(read[1], 0)]
        if code < 20:
            _of_one_row(code, x[begin:stop], y[begin:stop], out[0, begin:stop], p)
        elif code < 40:
            _of_a_window(code, x, y, out, p, known_from, begin, stop)
        elif code < 60:
            _of_its_past(code, x, y, out, p, known_from, begin, stop)
        else:
            _of_bars(code, columns, read, out, p, begin, stop)


@entry_point
def execute(
    instructions: Index, parameters: Table, columns: Table, first: Index, start: int, stop: int
) -> None:
    """Compute rows `start` to `stop` of all columns from their inputs and the rows before.

    Parameters
    ----------
    instructions : int64 (P, 8)
        As in `Program`.
    parameters : float64 (P, 4)
        Constants.
    columns : float64 (n_slots, T)
        Inputs are filled up to `stop`, everything else up to `start`.
    first : int64 (n_slots,)
        Row from which each slot can be computed; nan is written before it.
    start, stop : int
        Rows to compute, `stop` exclusive.
    """
    run(instructions, parameters, columns, first, start, stop)


@entry_point
def find_first_rows(instructions: Index, first: Index, n_inputs: int) -> None:
    """Write from which row on each slot can be computed, from those of the inputs.

    Parameters
    ----------
    instructions : int64 (P, 8)
        As in `Program`.
    first : int64 (n_slots,)
        Those of the inputs are given; the others are written.
    n_inputs : int
        Inputs.
    """
    first[n_inputs:] = 0
    for place in range(len(instructions)):
        delay, output = instructions[place, 1], instructions[place, 2]
        read = instructions[place, 4:]
        latest = first[read[0]]
        for k in range(1, len(read)):
            if read[k] >= 0:
                latest = max(latest, first[read[k]])
        for k in range(instructions[place, 3]):
            # Smoothings side by side begin each with its own column.
            begins = first[read[k]] if instructions[place, 0] == 40 else latest
            first[output + k] = begins + delay


@entry_point
def find_known(inputs: Table, rows: int, never: int) -> Index:
    """Return the first known row (I,) of the first `rows` of inputs (I, T), `never` without one."""
    found = np.full(len(inputs), never)
    for place in range(len(inputs)):
        for row in range(rows):
            if not np.isnan(inputs[place, row]):
                found[place] = row
                break
    return found
