"""The Great Expectations suite behind module `expectations`, and its one run.

It judges a table with one row a month of counts that polars made in passing, so its cost does not
grow with the number of bars. Great Expectations is imported when a run begins: that takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from threading import Thread
from types import ModuleType
from typing import Any

import polars as pl

from trading_assets.errors import DataError

_NAME = "bars"
_GREAT_EXPECTATIONS = "great_expectations"


@dataclass(frozen=True, slots=True)
class Count:
    """A column of the month table that has to be 0, and the one it is a part of."""

    column: str
    whole: str
    unit: str


@dataclass(frozen=True, slots=True)
class Bound:
    """Columns of the month table of which the first may not exceed the second."""

    column: str
    limit: str


@dataclass(frozen=True, slots=True)
class Full:
    """A column of the month table that has to be 100, or null."""

    column: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """What the month table has to show for an expectation to hold.

    Attributes
    ----------
    name : str
        Expectation it belongs to.
    description : str
        What is expected, in words.
    blocks : bool
        Whether a failure is critical or a warning.
    demand : Count, Bound or Full
        On which columns.
    """

    name: str
    description: str
    blocks: bool
    demand: Count | Bound | Full


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a criterion is met, and what was observed."""

    name: str
    passed: bool
    observed: str


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """The outcomes in the order of the criteria, and Great Expectations' context with the run."""

    outcomes: list[Outcome]
    context: Any


def begin_import() -> None:
    """Import Great Expectations in a thread, while this one computes what it is to judge."""
    Thread(target=import_module, args=(_GREAT_EXPECTATIONS,)).start()


def run_suite(months: pl.DataFrame, criteria: Sequence[Criterion]) -> SuiteRun:
    """Judge the month table in one in-memory context; nothing is written and nothing is sent.

    Parameters
    ----------
    months : DataFrame
        One row a month: month and the columns that the criteria name.
    criteria : sequence of Criterion
        What is expected.

    Raises
    ------
    DataError
        If a criterion could not be evaluated.
    """
    gx: Any = import_module(_GREAT_EXPECTATIONS)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas(_NAME).add_dataframe_asset("months")
    suite = gx.ExpectationSuite(
        name=_NAME,
        expectations=[
            _expectation(gx.expectations, criterion, str(number))
            for number, criterion in enumerate(criteria)
        ],
    )
    definition = gx.ValidationDefinition(
        name=_NAME,
        data=asset.add_batch_definition_whole_dataframe(_NAME),
        suite=context.suites.add(suite),
    )
    result = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": months.to_pandas()},
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": ["month"],
        },
    )
    found = {int(each.expectation_config.meta["number"]): each for each in result.results}
    outcomes = [
        _outcome(found[number], criterion, months) for number, criterion in enumerate(criteria)
    ]
    return SuiteRun(outcomes, context)


def _expectation(gxe: ModuleType, criterion: Criterion, number: str) -> Any:  # noqa: ANN401 # untyped library
    about = {
        "description": criterion.description,
        "severity": "critical" if criterion.blocks else "warning",
        "meta": {"name": criterion.name, "number": number},
    }
    demand = criterion.demand
    if isinstance(demand, Count):
        return gxe.ExpectColumnSumToBeBetween(
            column=demand.column, min_value=0, max_value=0, **about
        )
    if isinstance(demand, Bound):
        return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=demand.limit, column_B=demand.column, or_equal=True, **about
        )
    return gxe.ExpectColumnValuesToBeBetween(
        column=demand.column, min_value=100, max_value=100, **about
    )


def _outcome(result: Any, criterion: Criterion, months: pl.DataFrame) -> Outcome:  # noqa: ANN401 # untyped library
    found, demand = result.result, criterion.demand
    if not found:
        msg = (
            f"Great Expectations could not evaluate {criterion.name}"
            f" ({result.expectation_config.type}): {result.exception_info}; expected the columns"
            " of the summary of validated bars"
        )
        raise DataError(msg)
    if isinstance(demand, Count):
        count, whole = int(found["observed_value"]), int(months[demand.whole].sum())
        observed = f"{count} of {whole} {demand.unit} break it"
    else:
        observed = f"{found['unexpected_count']} of {found['element_count']} months break it"
    return Outcome(criterion.name, bool(result.success), observed)
