"""How often the walk-forward's gates promote: where nothing can be learnt, and where much can.

Each pipeline seed is a world of its own: 20 years of bars of one asset, validated, made features
of, cut into yearly folds, an agent of three seeds trained on each, traded, judged by the report.
"""

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.backtest.net_returns import net_returns
from trading_assets.backtest.report import build_report
from trading_assets.backtest.report_documents import WalkForwardInputs
from trading_assets.backtest.trials import chain_windows
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.learning.traded_worlds import declared_world, trade_world

WITHOUT_SIGNAL, WITH_SIGNAL = 40, 20
MOST_FALSE, LEAST_POWER_PCT = 2, 80.0


@dataclass(frozen=True)
class Judged:
    """What the report said of one world."""

    seed: int
    is_promoted: bool
    sentence: str


def judge_world(work: tuple[int, float]) -> Judged:
    """Send one world through the whole pipeline and return its verdict."""
    seed, coefficient = work
    strategy = declared_world(coefficient)
    records = trade_world(strategy, seed, coefficient)
    initial = strategy.backtest.initial_equity_usd
    windows = [net_returns(own.tables.equity, "ppo/ensemble", initial) for own in records]
    report = build_report(
        WalkForwardInputs(
            strategy_name="world",
            strategy=strategy,
            declaration_digest="0" * 64,
            folds=records,
            expected_folds=[own.fold.key for own in records],
            trials=[chain_windows("world/ppo", windows)],
        )
    )
    verdict = report.figures["verdicts"]["ppo"]
    return Judged(seed, verdict["standing"] == "beats", verdict["sentence"])


def judge_worlds(coefficient: float, seeds: Sequence[int]) -> list[Judged]:
    """Judge several worlds, one on each core, and print each when it is done."""
    work = [(seed, coefficient) for seed in seeds]
    found: list[Judged] = []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for judged in pool.imap_unordered(judge_world, work, chunksize=1):
            mark = "promoted" if judged.is_promoted else "refused"
            print(f"| {coefficient} | {judged.seed} | {mark} | {judged.sentence} |", flush=True)
            found.append(judged)
    return found


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
