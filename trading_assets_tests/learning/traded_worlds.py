"""Worlds of one asset, learnt and traded fold by fold; what was traded is kept between runs."""

import hashlib
import json
import os
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from trading_assets.backtest.engine import BacktestTables
from trading_assets.backtest.fold import backtest_fold
from trading_assets.backtest.folds import fold_keys, get_fold
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.validation.bars import validate_bars
from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.features.compute import compute_features
from trading_assets.policy.fold import TrainingTables, train_seeds
from trading_assets.schema import TABLES
from trading_assets.stage_code import ENGINE_CODE, PACKAGE, WEIGHT_LIMITS_CODE
from trading_assets.strategy import Strategy
from trading_assets_tests.benchmarks.figures import REPOSITORY

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BARS = 5_040
KEPT = REPOSITORY / ".bench" / "worlds"
ABSENCES = "absences.json"
NAMES = ("weights", "trades", "equity", "holdings")
# What moves a traded number; what is said of it may change.
TRADING_CODE = (
    "agent_specs.py",
    "bars",
    "features",
    "policy",
    *WEIGHT_LIMITS_CODE,
    "simulation",
    *ENGINE_CODE,
    *(
        f"backtest/{name}.py"
        for name in (
            "allocations",
            "baselines",
            "fold",
            "hierarchical_risk_parity",
            "matched_control",
            "periodic_rules",
            "random_portfolio",
        )
    ),
    "defs/known_optimum",
    "defs/w1_daily",
)


def declared_world(coefficient: float) -> Strategy:
    """Return the shipped strategy on known optima, yearly folds over 20 years of bars.

    The utility's aversions grow with the signal, so that the best positions stay the same.
    """
    shipped = load_declarations([PACKAGED], "development").strategies["known_optimum"]
    scale = coefficient / 0.1 if coefficient > 0.0 else 1.0
    values = shipped.model_dump(mode="json")
    values["policy"]["risk_aversion"] = 25.0 * scale
    values["costs"]["quadratic_lambda"] = 250.0 * scale
    values["folds"]["first"] = "2010-01-01"
    return Strategy.model_validate(values)


def trade_world(strategy: Strategy, seed: int, coefficient: float) -> list[FoldRecord]:
    """Return what each fold of a world traded; read if the same code traded it before."""
    folder = KEPT / trading_digest() / f"{coefficient}" / f"{seed}"
    if not folder.exists():
        aside = folder.with_suffix(f".{os.getpid()}")
        shutil.rmtree(aside, ignore_errors=True)
        for record in _trade(strategy, seed, coefficient):
            _write(aside / record.fold.key, record)
        aside.rename(folder)
    keys = fold_keys(strategy.folds, NOW.date())
    return [_read(folder / key, strategy) for key in keys]


def trading_digest() -> str:
    """Return the first 16 hex digits of the sha256 of all that moves a traded number."""
    hasher = hashlib.sha256()
    for part in TRADING_CODE:
        path = PACKAGE / part
        files = [path] if path.is_file() else path.rglob("*")
        for file in sorted(file for file in files if file.suffix in (".py", ".yaml")):
            hasher.update(file.relative_to(PACKAGE).as_posix().encode())
            hasher.update(file.read_bytes())
    return hasher.hexdigest()[:16]


def _trade(strategy: Strategy, seed: int, coefficient: float) -> list[FoldRecord]:
    shipped = load_declarations([PACKAGED], "development").market_data[strategy.market_data]
    source = shipped.source.model_copy(
        update={"seed": 1_000 + seed, "information_coefficient": coefficient}
    )
    calendar = get_calendar(shipped.calendar)
    days = calendar.sessions(date(2004, 1, 2), date(2025, 12, 31))[-BARS:]
    data = shipped.model_copy(update={"source": source, "start": days[0]})
    fetched = build_source(data, calendar, {}).fetch(days[0], days[-1], NOW)
    months = fetched.rows["session"].dt.month_start().cast(pl.String).unique().sort().to_list()
    listed = {"W1": fetched.rows["session"].min()}
    validated = validate_bars(fetched.rows, fetched.actions, data, months, listed, NOW)
    assert validated.failed_months == []
    bars = validated.rows
    features = compute_features(bars, fetched.actions, fetched.series, strategy.features, days)
    tables = TrainingTables(bars, fetched.actions, features, TABLES["forecasts"].empty())
    agent = strategy.policy.agents["ppo"]
    records: list[FoldRecord] = []
    for key in fold_keys(strategy.folds, NOW.date()):
        fold = get_fold(key, strategy.folds)
        trained = train_seeds(
            tables.between(fold.train_start, fold.train_end), fold, strategy, data, agent
        )
        assert trained.problems == []
        window = tables.between(fold.train_start, fold.test_end)
        traded = backtest_fold(window, {"ppo": trained.policies}, fold, strategy, data)
        assert [*traded.accounting, *traded.parity] == []
        records.append(FoldRecord(fold, traded.tables, absences=traded.absences))
    return records


def _write(folder: Path, record: FoldRecord) -> None:
    folder.mkdir(parents=True)
    for name in NAMES:
        getattr(record.tables, name).write_parquet(folder / f"{name}.parquet")
    (folder / ABSENCES).write_text(json.dumps(dict(record.absences)), encoding="utf-8")


def _read(folder: Path, strategy: Strategy) -> FoldRecord:
    tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in NAMES}
    absences = json.loads((folder / ABSENCES).read_text(encoding="utf-8"))
    fold = get_fold(folder.name, strategy.folds)
    return FoldRecord(fold, BacktestTables(**tables), absences=absences)
