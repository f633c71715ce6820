"""Formulas as data: what a feature is, before anything is computed.

An expression names an operation and its inputs. From it follow the column's lookback and the
program that computes it, so that neither is written down twice. Nothing here imports an array
library: declarations are checked with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

# Share of an older value below which it no longer counts.
NEGLIGIBLE = 1e-7
_LONGEST_MEMORY = 5_000


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of kernel.

    Attributes
    ----------
    name : str
        As in messages.
    code : int
        What the compiled machine knows it by.
    n_outputs : int
        Columns it writes, state included.
    scales : tuple of int
        Parameters by whose multiples its output is multiplied; empty where there are none.
    """

    name: str
    code: int
    n_outputs: int = 1
    scales: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """How far back a column looks: `bars` before the row, then values that fade.

    Attributes
    ----------
    bars : int
        Rows before the row's own of which each counts.
    fading : tuple of float
        For each smoothing on the way, the factor by which a value fades a row.
    """

    bars: int = 0
    fading: tuple[float, ...] = ()

    @property
    def lookback_bars(self) -> int:
        """Rows, the row's own included, older than which all values together are negligible."""
        return 1 + self.bars + _fading_bars(self.fading)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column of values: an input of the bars, or an operation on other columns.

    The same operation on the same columns is the same object, see `apply`.

    Attributes
    ----------
    operation : Operation, optional
        None for an input.
    inputs : tuple of Column
        What it is computed from.
    parameters : tuple of float
        Constants of the operation.
    output : int
        Which of the operation's columns this is.
    delay : int
        Rows that its inputs have to be known before the first row that can be computed.
    memories : frozenset of Memory
        How far back it looks, by each way to an input.
    name : str
        Name of an input.
    """

    operation: Operation | None
    inputs: "tuple[Column, ...]" = ()
    parameters: tuple[float, ...] = ()
    output: int = 0
    delay: int = 0
    memories: frozenset[Memory] = frozenset({Memory()})
    name: str = ""

    @property
    def lookback_bars(self) -> int:
        """Rows, the row's own included, that decide the value."""
        return max(memory.lookback_bars for memory in self.memories)

    def input_names(self) -> frozenset[str]:
        """Return the names of the inputs that it is computed from."""
        return frozenset(column.name for column in walk(self) if column.operation is None)

    def __add__(self, other: "Column | float") -> "Column":
        """Return the sum."""
        if isinstance(other, Column):
            return apply(ADD, self, other)
        return apply(AFFINE, self, parameters=(1.0, other))

    def __sub__(self, other: "Column | float") -> "Column":
        """Return the difference."""
        if isinstance(other, Column):
            return apply(SUBTRACT, self, other)
        return apply(AFFINE, self, parameters=(1.0, -other))

    def __rsub__(self, other: float) -> "Column":
        """Return a number less the column."""
        return apply(AFFINE, self, parameters=(-1.0, other))

    def __mul__(self, other: "Column | float") -> "Column":
        """Return the product."""
        if isinstance(other, Column):
            return apply(MULTIPLY, self, other)
        if self.operation is not None and self.operation.scales:
            return _multiplied(self, float(other))
        return apply(AFFINE, self, parameters=(other, 0.0))

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> "Column":
        """Return the column with its sign changed."""
        return self * -1.0


ADD, SUBTRACT, MULTIPLY, AFFINE = (
    Operation("add", 0),
    Operation("subtract", 1),
    Operation("multiply", 2),
    Operation("affine", 3, scales=(0, 1)),
)


@cache
def bar_input(name: str, delay: int = 0) -> Column:
    """Return an input that looks back `delay` rows itself."""
    return Column(None, memories=frozenset({Memory(delay)}), name=name)


@cache
def apply(
    operation: Operation,
    *inputs: Column,
    parameters: tuple[float, ...] = (),
    output: int = 0,
    bars: int = 0,
    delay: int | None = None,
    fading: tuple[float, ...] = (),
) -> Column:
    """Return the column that an operation makes of others.

    Parameters
    ----------
    operation : Operation
        The kernel.
    *inputs : Column
        What it reads.
    parameters : tuple of float
        Its constants.
    output : int
        Which of its outputs.
    bars : int
        Rows before the row's own that decide the value.
    delay : int, optional
        Rows before the first that can be computed, if fewer do.
    fading : tuple of float
        Factors of its smoothings.
    """
    memories = {
        Memory(memory.bars + bars, tuple(sorted((*memory.fading, *fading))))
        for column in inputs
        for memory in column.memories
    }
    return Column(
        operation,
        inputs,
        tuple(map(float, parameters)),
        output,
        bars if delay is None else delay,
        _longest(memories),
    )


@cache
def _multiplied(column: Column, factor: float) -> Column:
    operation = column.operation
    scales = () if operation is None else operation.scales
    parameters = tuple(
        factor * number if place in scales else number
        for place, number in enumerate(column.parameters)
    )
    return replace(column, parameters=parameters)


def walk(*columns: Column) -> Iterator[Column]:
    """Return every column that the given ones are computed from, inputs first, each once."""
    seen: set[Column] = set()

    def visit(column: Column) -> Iterator[Column]:
        if column not in seen:
            for source in column.inputs:
                yield from visit(source)
            seen.add(column)
            yield column

    for column in columns:
        yield from visit(column)


def _longest(memories: set[Memory]) -> frozenset[Memory]:
    # Of the ways with the same smoothings only the longest decides.
    longest: dict[tuple[float, ...], int] = {}
    for memory in memories:
        longest[memory.fading] = max(longest.get(memory.fading, 0), memory.bars)
    return frozenset(Memory(bars, fading) for fading, bars in longest.items())


@lru_cache(maxsize=1024)
def _fading_bars(fading: tuple[float, ...]) -> int:
    """Return the rows after which all that a chain of smoothings has seen before is negligible."""
    if not fading:
        return 0
    weights = [1.0]
    for factor in fading:
        level = 0.0
        smoothed: list[float] = []
        for row in range(_LONGEST_MEMORY):
            level = factor * level + (1.0 - factor) * (weights[row] if row < len(weights) else 0.0)
            smoothed.append(level)
        weights = smoothed
    left = 1.0
    for row, weight in enumerate(weights):
        left -= weight
        if left < NEGLIGIBLE:
            return row + 1
    return _LONGEST_MEMORY
