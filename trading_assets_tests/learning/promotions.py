"""How often the walk-forward's gates promote: where nothing can be learnt, and where much can.

Each pipeline seed is a world of its own: 20 years of bars of one asset, validated, made features
of, cut into yearly folds, an agent of three seeds trained on each, traded, judged by the report.
"""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

import numpy as np
import polars as pl

from trading_assets.backtest.fold import backtest_fold
from trading_assets.backtest.folds import fold_keys, get_fold
from trading_assets.backtest.net_returns import net_returns
from trading_assets.backtest.report import build_report
from trading_assets.backtest.report_documents import WalkForwardInputs
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.backtest.trials import chain_windows
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.validation.bars import validate_bars
from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.features.compute import compute_features
from trading_assets.policy.fold import TrainingTables, train_seeds
from trading_assets.schema import TABLES
from trading_assets.stage_code import PACKAGE
from trading_assets.strategy import Strategy
from trading_assets_tests.benchmarks.figures import REPOSITORY, Figure, keep

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BARS = 5_040
WITHOUT_SIGNAL, WITH_SIGNAL = 40, 20
MOST_FALSE, LEAST_POWER_PCT = 2, 80.0
JUDGED = REPOSITORY / ".bench" / "promotions.jsonl"


@dataclass(frozen=True)
class Judged:
    """What the report said of one world."""

    seed: int
    is_promoted: bool
    sentence: str


def declared(coefficient: float) -> Strategy:
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


def judge_world(work: tuple[int, float]) -> Judged:
    """Send one world through the whole pipeline and return its verdict."""
    seed, coefficient = work
    strategy = declared(coefficient)
    declarations = load_declarations([PACKAGED], "development")
    shipped = declarations.market_data[strategy.market_data]
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
    keys = fold_keys(strategy.folds, NOW.date())
    for key in keys:
        fold = get_fold(key, strategy.folds)
        trained = train_seeds(
            tables.between(fold.train_start, fold.train_end), fold, strategy, data, agent
        )
        assert trained.problems == []
        window = tables.between(fold.train_start, fold.test_end)
        traded = backtest_fold(window, {"ppo": trained.policies}, fold, strategy, data)
        assert [*traded.accounting, *traded.parity] == []
        records.append(FoldRecord(fold, traded.tables, absences=traded.absences))
    initial = strategy.backtest.initial_equity_usd
    windows = [net_returns(own.tables.equity, "ppo/ensemble", initial) for own in records]
    report = build_report(
        WalkForwardInputs(
            strategy_name="world",
            strategy=strategy,
            declaration_digest="0" * 64,
            folds=records,
            expected_folds=keys,
            trials=[chain_windows("world/ppo", windows)],
        )
    )
    verdict = report.figures["verdicts"]["ppo"]
    return Judged(seed, verdict["standing"] == "beats", verdict["sentence"])


def judge_worlds(coefficient: float, seeds: Sequence[int]) -> list[Judged]:
    """Judge several worlds, one on each core, and print each when it is done.

    An hour's work: what an interrupted run judged by the same code is not judged again.
    """
    code, found = package_digest(), dict[int, Judged]()
    for line in JUDGED.read_text(encoding="utf-8").splitlines() if JUDGED.exists() else []:
        kept = json.loads(line)
        if (kept.pop("code"), kept.pop("coefficient")) == (code, coefficient):
            found[kept["seed"]] = Judged(**kept)
    work = [(seed, coefficient) for seed in seeds if seed not in found]
    JUDGED.parent.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for judged in pool.imap_unordered(judge_world, work, chunksize=1):
            mark = "promoted" if judged.is_promoted else "refused"
            print(f"| {coefficient} | {judged.seed} | {mark} | {judged.sentence} |", flush=True)
            found[judged.seed] = judged
            with JUDGED.open("a", encoding="utf-8") as log:
                line = {"code": code, "coefficient": coefficient, **asdict(judged)}
                log.write(json.dumps(line) + "\n")
    return [found[seed] for seed in seeds]


def package_digest() -> str:
    """Return the sha256 of all source files and declarations of the package."""
    hasher = hashlib.sha256()
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".yaml")):
        hasher.update(path.relative_to(PACKAGE).as_posix().encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def learn_promotions() -> list[str]:
    """Count promotions without a signal and with one, keep both figures, return what is missed."""
    print("| IC | seed | gates | verdict |\n| --- | --- | --- | --- |")
    false = sum(own.is_promoted for own in judge_worlds(0.0, range(WITHOUT_SIGNAL)))
    keep(Figure("backtest.false_promotions_of_40", float(false), "worlds", limit=MOST_FALSE))
    right = judge_worlds(0.2, range(WITH_SIGNAL))
    power = 100.0 * float(np.mean([own.is_promoted for own in right]))
    keep(Figure("backtest.power_pct", power, "%", limit=LEAST_POWER_PCT))
    missed = ["backtest.false_promotions_of_40"] * (false > MOST_FALSE)
    return missed + ["backtest.power_pct"] * (power < LEAST_POWER_PCT)
