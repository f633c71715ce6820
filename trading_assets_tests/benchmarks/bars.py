"""Figures of the validation of bars: 1,372,000 minute bars of 14 symbols, made here.

Rates are the best of several runs on rows that lie in memory sorted, as the lake gives them. The
peer is Great Expectations on a pandas frame of the same rows. The asset is measured in a process of
its own, from its start with imports to its end: bars from monthly Parquet files, verdicts, one run
of Great Expectations with Data Docs, and monthly files again.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import perf_counter

import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.validation.bars import validate_bars
from trading_assets.bars.validation.expectation_suites import begin_import
from trading_assets.bars.validation.expectations import judge
from trading_assets.bars.validation.judged_rows import select_judged_rows
from trading_assets.bars.validation.quarantine import quarantine_rows
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.validation.example_clean_bars import (
    NO_ACTIONS,
    NOW,
    clean_bars,
    clean_spec,
    months_of,
)
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.benchmarks.processes import time_command

N_SYMBOLS, BARS_A_SYMBOL = 14, 98_000
# 10,290,000 bars, to see that time grows with the rows and no faster.
N_SYMBOLS_OF_MANY = 105
ROUNDS = 7


def minute_bars_spec(n_symbols: int = N_SYMBOLS) -> MarketDataSpec:
    """Return a year and a day of minute bars of some symbols."""
    return clean_spec(
        universe=[f"S{number:02}" for number in range(n_symbols)],
        bar_length="1m",
        start=date(2014, 12, 31),
        end=date(2015, 12, 31),
    )


def minute_bars(spec: MarketDataSpec) -> pl.DataFrame:
    """Return the first 98,000 bars of each symbol."""
    rows = clean_bars(spec)
    return rows.group_by("symbol", maintain_order=True).head(BARS_A_SYMBOL).select(rows.columns)


def measure_validation() -> None:
    """Measure the rules in memory, with the peer, and the whole asset in its own process."""
    with tempfile.TemporaryDirectory(prefix="trading_assets_bench_") as name:
        folder = Path(name)
        measure_rules(folder)
        measure_many(folder)
        module = "trading_assets_tests.benchmarks.bars"
        found = time_command([sys.executable, "-m", module, str(folder)], folder)
    keep(Figure("bars.validate_asset_s", found.seconds, "s", limit=6))
    keep(Figure("bars.validate_peak_gb", found.peak_gb, "GB", limit=1))


def measure_rules(folder: Path) -> None:
    """Measure the rules in memory, and leave the bars below `folder`."""
    spec = minute_bars_spec()
    rows = minute_bars(spec).rechunk()
    write_months(rows, folder / "raw")
    calendar = get_calendar(spec.calendar)
    listed = dict.fromkeys(spec.universe, spec.start)
    months = months_of(spec)

    def row_local() -> None:
        judged = select_judged_rows(rows, spec, NOW)
        quarantine_rows(judged.rows, spec, calendar, NOW)

    def all_rules() -> None:
        validate_bars(rows, NO_ACTIONS, spec, months, listed, NOW)

    peer, peer_s = "great_expectations on pandas, 15 expectations", peer_seconds(rows)
    for figure, work in (
        ("bars.validate_rows_per_s", row_local),
        ("bars.validate_all_rules_per_s", all_rules),
    ):
        seconds = best_seconds(work)
        keep(Figure(figure, len(rows) / seconds, "bars/s", peer, peer_s / seconds))


def measure_many(folder: Path) -> None:
    """Measure all rules on 14 and on 105 symbols, each in a process of its own."""
    rates: list[float] = []
    for n_symbols in (N_SYMBOLS, N_SYMBOLS_OF_MANY):
        code = f"from {__spec__.name} import *; rate_of_all_rules(Path('rate'), {n_symbols})"
        found = time_command([sys.executable, "-c", code], folder)
        rates.append(float((folder / "rate").read_text(encoding="utf-8")))
    peer = f"{N_SYMBOLS * BARS_A_SYMBOL} bars"
    keep(Figure("bars.validate_10m_rows_per_s", rates[1], "bars/s", peer, rates[1] / rates[0]))
    keep(Figure("bars.validate_10m_peak_gb", found.peak_gb, "GB"))


def rate_of_all_rules(file: Path, n_symbols: int) -> None:
    """Write the rate of all rules in bars a second to `file`."""
    spec = minute_bars_spec(n_symbols)
    rows = minute_bars(spec).rechunk()
    listed, months = dict.fromkeys(spec.universe, spec.start), months_of(spec)
    seconds = best_seconds(lambda: validate_bars(rows, NO_ACTIONS, spec, months, listed, NOW), 3)
    file.write_text(str(len(rows) / seconds), encoding="utf-8")


def best_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the seconds of the quickest of several runs, the one least disturbed by others."""
    seconds: list[float] = []
    for _ in range(rounds):
        started = perf_counter()
        work()
        seconds.append(perf_counter() - started)
    return min(seconds)


def peer_seconds(rows: pl.DataFrame) -> float:
    """Return the seconds that Great Expectations takes for 15 rules on the pandas frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        gxe = gx.expectations
        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(enable=False)
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("peer").add_dataframe_asset("bars")
        batch = asset.add_batch_definition_whole_dataframe("bars")
        prices = ("open", "high", "low", "close")
        rules = [
            *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in (*prices, "volume")),
            *(
                gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, strict_min=True)
                for name in prices
            ),
            gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=0),
            *(
                gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                    column_A=upper, column_B=lower, or_equal=True
                )
                for upper, lower in (
                    *(("open", "low"), ("close", "low")),
                    *(("high", "open"), ("high", "close")),
                )
            ),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["symbol", "event_time"]),
        ]
        times = pl.col("event_time", "knowledge_time", "ingest_time")
        frame = rows.with_columns(times.dt.replace_time_zone(None)).to_pandas()
        suite = gx.ExpectationSuite(name="peer", expectations=rules)
        batch_of_rows = batch.get_batch(batch_parameters={"dataframe": frame})
        started = perf_counter()
        result = batch_of_rows.validate(suite, result_format="SUMMARY")
        seconds = perf_counter() - started
    if len(rules) != 15 or not result.success:
        msg = f"{len(rules)} rules of the peer gave {result.success}; expected 15 that hold"
        raise RuntimeError(msg)
    return seconds


def write_months(rows: pl.DataFrame, folder: Path) -> None:
    """Write one Parquet file for each month."""
    folder.mkdir()
    month = pl.col("session").dt.truncate("1mo").alias("month")
    parts = rows.with_columns(month).partition_by("month", as_dict=True, include_key=False)
    for key, part in parts.items():
        part.write_parquet(folder / f"{key[0]}.parquet")


def validate_files(folder: Path) -> None:
    """Do what the asset does with the months below `folder`."""
    begin_import()
    spec = minute_bars_spec()
    rows = pl.concat([pl.read_parquet(file) for file in sorted((folder / "raw").glob("*.parquet"))])
    listed = dict.fromkeys(spec.universe, spec.start)
    validated = validate_bars(rows, NO_ACTIONS, spec, months_of(spec), listed, NOW)
    results = judge(validated, folder / "data_docs", "bench")
    (folder / "validated").mkdir()
    for key, month in validated.months.items():
        month.rows.write_parquet(folder / "validated" / f"{key}.parquet")
    # The last bars are cut off, so that every expectation has to hold but the one on all bars.
    failed = [result.name for result in results if not result.passed]
    if failed != ["every_expected_bar_passed"] or validated.failed_months:
        msg = f"{failed} failed in {validated.failed_months}; expected missing bars only"
        raise RuntimeError(msg)


STAGES = {"bars": measure_validation}

if __name__ == "__main__":
    validate_files(Path(sys.argv[1]))
