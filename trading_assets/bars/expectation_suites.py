"""The Great Expectations suites behind `trading_assets.bars.expectations`, and their run.

Great Expectations is imported when `run_suites` is called, because its import takes seconds.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import polars as pl

from trading_assets.errors import DataError

_PRICES = ("open", "high", "low", "close")
_SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one Great Expectations rule found.

    Attributes
    ----------
    name : str
        Expectation the rule belongs to.
    passed : bool
        Whether no row broke it.
    observed : str
        Count of rows that broke it, or the value observed.
    examples : tuple of str
        The first rows that broke it.
    """

    name: str
    passed: bool
    observed: str
    examples: tuple[str, ...]


def run_suites(rows: pl.DataFrame, summary: pl.DataFrame) -> list[Outcome]:
    """Run both suites in one in-memory context; nothing is written and nothing is sent.

    Parameters
    ----------
    rows : DataFrame
        Table `validated_bars`.
    summary : DataFrame
        Summary of `trading_assets.bars.validation.ValidatedMonths`, one row a month.

    Raises
    ------
    DataError
        If a rule could not be evaluated.
    """
    gx = _import_great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("bars")
    # pandas 3 warns when Great Expectations reads times with a zone; all of these are UTC.
    bars = rows.with_columns(
        pl.col("session").dt.to_string("%Y-%m-%d"),
        pl.col("event_time", "knowledge_time").dt.replace_time_zone(None),
    )
    return [
        *_run(gx, source, "bars", bars, _row_rules(gx.expectations)),
        *_run(gx, source, "months", summary, _month_rules(gx.expectations)),
    ]


def _import_great_expectations() -> ModuleType:
    with warnings.catch_warnings():
        # It imports sre_constants and sre_parse, which Python 3.11 deprecates.
        warnings.filterwarnings("ignore", "module 'sre_", DeprecationWarning)
        import great_expectations
    return great_expectations


def _row_rules(gxe: ModuleType) -> Mapping[str, Sequence[Any]]:
    at_least = gxe.ExpectColumnPairValuesAToBeGreaterThanB
    between, present = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToNotBeNull
    limits = {"min_value": 0, "strict_min": True, "max_value": sys.float_info.max}
    return {
        "bars_are_unique": [gxe.ExpectCompoundColumnsToBeUnique(column_list=["symbol", "session"])],
        "prices_are_positive_and_finite": [
            rule
            for price in _PRICES
            for rule in (present(column=price), between(column=price, **limits))
        ],
        "lows_are_not_above_opens_and_closes": [
            at_least(column_A=price, column_B="low", or_equal=True) for price in ("open", "close")
        ],
        "highs_are_not_below_opens_and_closes": [
            at_least(column_A="high", column_B=price, or_equal=True) for price in ("open", "close")
        ],
        "volumes_are_positive": [present(column="volume"), between(column="volume", **limits)],
        "bars_are_known_only_after_they_end": [
            at_least(column_A="knowledge_time", column_B="event_time", or_equal=True)
        ],
        "bars_come_from_one_feed": [
            gxe.ExpectColumnUniqueValueCountToBeBetween(column="feed", max_value=1)
        ],
    }


def _month_rules(gxe: ModuleType) -> Mapping[str, Sequence[Any]]:
    between = gxe.ExpectColumnValuesToBeBetween
    at_least = gxe.ExpectColumnPairValuesAToBeGreaterThanB
    return {
        "bars_are_unique": [between(column="duplicated", max_value=0)],
        "sessions_have_bars": [
            at_least(column_A="max_missing_share", column_B="missing_share", or_equal=True)
        ],
        "few_bars_are_quarantined": [
            at_least(column_A="max_quarantine_share", column_B="quarantine_share", or_equal=True)
        ],
        "every_expected_bar_passed": [between(column="data_quality_pct", min_value=100)],
        "returns_without_actions_are_plausible": [between(column="outlier_returns", max_value=0)],
        "closes_are_not_stale": [between(column="stale_closes", max_value=0)],
    }


def _run(
    gx: ModuleType,
    source: Any,  # noqa: ANN401 # Great Expectations' data source
    unit: str,
    frame: pl.DataFrame,
    rules: Mapping[str, Sequence[Any]],
) -> list[Outcome]:
    for name, expectations in rules.items():
        for expectation in expectations:
            expectation.meta = {"name": name}
    suite = gx.ExpectationSuite(
        name=unit, expectations=[rule for some in rules.values() for rule in some]
    )
    batch = source.add_dataframe_asset(unit).add_batch_definition_whole_dataframe(unit)
    labels = [name for name in ("symbol", "session", "month") if name in frame.columns]
    validation = batch.get_batch(batch_parameters={"dataframe": frame.to_pandas()}).validate(
        suite,
        result_format={"result_format": "SUMMARY", "unexpected_index_column_names": labels},
    )
    return [_outcome(result, unit, labels) for result in validation.results]


def _outcome(result: Any, unit: str, labels: list[str]) -> Outcome:  # noqa: ANN401 # untyped library
    name, found = result.expectation_config.meta["name"], result.result
    if not found:
        msg = (
            f"Great Expectations could not evaluate {name} ({result.expectation_config.type}):"
            f" {result.exception_info}; expected the columns of the validated bars"
        )
        raise DataError(msg)
    if "element_count" not in found:
        return Outcome(name, bool(result.success), f"{found['observed_value']} distinct values", ())
    observed = f"{found['unexpected_count']} of {found['element_count']} {unit} break it"
    examples = [
        " ".join(str(row[label]) for label in labels)
        + "".join(f", {key} {value}" for key, value in row.items() if key not in labels)
        for row in found["partial_unexpected_index_list"][:_SHOWN_ROWS]
    ]
    return Outcome(name, bool(result.success), observed, tuple(examples))
