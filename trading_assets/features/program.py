"""Turns expressions into a program: what is computed in which order, each part once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.compiled.machine import find_first_rows
from trading_assets.features.expressions import Column, Operation, walk
from trading_assets.features.operations import SMOOTH

Index = NDArray[np.int64]

_MOST_INPUTS = 4
_MOST_PARAMETERS = 4
# Columns of instructions: operation, delay, first output, outputs, inputs.
_OPERATION, _DELAY, _OUTPUT, _N_OUTPUTS, _INPUTS = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Program:
    """Instructions for the machine, and the slot of each column.

    Attributes
    ----------
    inputs : tuple of str
        Names of the columns that are given, in slots 0, 1, ...
    instructions : int64 (P, 8)
        Operation, delay, first output slot, number of outputs, input slots (-1 where unused).
    parameters : float64 (P, 4)
        Constants of each.
    outputs : int64 (F,)
        Slots of the columns asked for, in their order.
    n_slots : int
        Columns of the machine's table.
    kept : int64 (n_slots,)
        Rows of each slot before the first new one that instructions may read.
    """

    inputs: tuple[str, ...]
    instructions: Index
    parameters: NDArray[np.float64]
    outputs: Index
    n_slots: int
    kept: Index


@dataclass(frozen=True, slots=True)
class _Step:
    """One instruction before its slots are known: the outputs of an operation on some columns."""

    operation: Operation
    delay: int
    inputs: tuple[Column, ...]
    parameters: tuple[float, ...]

    @classmethod
    def of(cls, column: Column) -> "_Step":
        if column.operation is None:
            msg = f"{column.name} is an input"
            raise ValueError(msg)
        return cls(column.operation, column.delay, column.inputs, column.parameters)


def build_program(columns: Mapping[str, Column]) -> Program:
    """Return the program that computes `columns`, in their order.

    What several columns have in common is computed once: operations of equal inputs and parameters
    are one instruction, whichever of its outputs they use. Smoothings that can be computed at the
    same time are one instruction of up to four.
    """
    ordered = list(walk(*columns.values()))
    inputs = [column for column in ordered if column.operation is None]
    steps = dict.fromkeys(_Step.of(column) for column in ordered if column.operation is not None)
    slots: dict[_Step | Column, int] = {column: place for place, column in enumerate(inputs)}
    n_slots = len(inputs)
    rows: list[list[int]] = []
    parameters: list[tuple[float, ...]] = []
    for group in _schedule(list(steps)):
        read = [_slot_of(column, slots) for step in group for column in step.inputs]
        given = tuple(number for step in group for number in step.parameters)
        operation = group[0].operation
        n_outputs = operation.n_outputs * len(group)
        padding = [-1] * (_MOST_INPUTS - len(read))
        rows.append([operation.code, group[0].delay, n_slots, n_outputs, *read, *padding])
        parameters.append(given + (0.0,) * (_MOST_PARAMETERS - len(given)))
        for step in group:
            slots[step] = n_slots
            n_slots += operation.n_outputs
    instructions = np.array(rows, dtype=np.int64).reshape(-1, _INPUTS + _MOST_INPUTS)
    return Program(
        inputs=tuple(column.name for column in inputs),
        instructions=instructions,
        parameters=np.array(parameters, dtype=np.float64).reshape(-1, _MOST_PARAMETERS),
        outputs=np.array([_slot_of(column, slots) for column in columns.values()], dtype=np.int64),
        n_slots=n_slots,
        kept=_kept_rows(instructions, n_slots),
    )


def _slot_of(column: Column, slots: Mapping[_Step | Column, int]) -> int:
    if column.operation is None:
        return slots[column]
    return slots[_Step.of(column)] + column.output


def _schedule(steps: Sequence[_Step]) -> Iterator[list[_Step]]:
    """Return the steps in an order in which each finds its inputs, smoothings side by side."""
    waiting = list(steps)
    while waiting:
        unknown = set(waiting)
        smoothings: list[_Step] = []
        later: list[_Step] = []
        for step in waiting:
            sources = {_Step.of(c) for c in step.inputs if c.operation is not None}
            if not sources.isdisjoint(unknown):
                later.append(step)
            elif step.operation is SMOOTH:
                smoothings.append(step)
            else:
                unknown.discard(step)
                yield [step]
        for place in range(0, len(smoothings), _MOST_INPUTS):
            yield smoothings[place : place + _MOST_INPUTS]
        waiting = later


def _kept_rows(instructions: Index, n_slots: int) -> Index:
    # What a row is made from of its own row before, or of the two before.
    kept = np.full(n_slots, 2, dtype=np.int64)
    for row in instructions:
        read = row[_INPUTS:][row[_INPUTS:] >= 0]
        kept[read] = np.maximum(kept[read], row[_DELAY] + 2)
    return kept


def first_rows(program: Program, known: Index) -> Index:
    """Return from which row on each slot can be computed, int64 (n_slots,).

    Parameters
    ----------
    program : Program
        Instructions.
    known : int64 (I,)
        First row of each input that is known.
    """
    first = np.zeros(program.n_slots, dtype=np.int64)
    first[: len(program.inputs)] = known
    find_first_rows(program.instructions, first, len(program.inputs))
    return first
