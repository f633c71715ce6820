"""`make learn [ONLY=case]`: train every case, print it seed by seed, and keep its figures."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from math import isfinite
from statistics import median

from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.learning.cases import CASES, SEEDS
from trading_assets_tests.learning.executor import EXECUTOR, execute_and_print
from trading_assets_tests.learning.forecasting import learn_coverage, learn_forecasts
from trading_assets_tests.learning.hybrid import learn_hybrids
from trading_assets_tests.learning.promotions import learn_promotions
from trading_assets_tests.learning.superiority import learn_superiority
from trading_assets_tests.learning.trained import Trained, show_seed

MOST_POSITION = 0.05
MOST_EXCESS, MOST_HALF_TIME_GAP = 0.03, 0.02


# Each uses all cores by itself.
BY_THEMSELVES: Mapping[str, Callable[[], list[str]]] = {
    "forecast_signal": lambda: learn_forecasts(SEEDS),
    "forecast_coverage": learn_coverage,
    "forecast_hybrid": lambda: learn_hybrids(SEEDS),
    "promotions": learn_promotions,
    "superiority": learn_superiority,
}


def main(only: list[str]) -> int:
    """Train the named cases, or all; return 1 if a figure is missed and 2 for an unknown case."""
    known = (*CASES, EXECUTOR, *BY_THEMSELVES)
    for name in only:
        if name not in known:
            expected = ", ".join(known)
            print(f"ONLY was {name!r}; expected one of {expected}", file=sys.stderr)
            return 2
    names = [name for name in only or CASES if name in CASES]
    missed = _learn_cases(names) if names else []
    if not only or EXECUTOR in only:
        missed += _learn_to_execute()
    for name in only or BY_THEMSELVES:
        if name in BY_THEMSELVES:
            missed += BY_THEMSELVES[name]()
    print(f"missed: {', '.join(missed)}" if missed else "every figure is reached")
    return 1 if missed else 0


def _learn_cases(names: list[str]) -> list[str]:
    work = [(name, seed) for name in names for seed in SEEDS]
    missed: list[str] = []
    print(
        "| case | seed | share of J* | s.e. | mean abs position | share of limit | seconds |"
        " checkpoints |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    # A process each, one seed on each core: libraries keep threads and caches of their own.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        results = iter(pool.imap(show_seed, work, chunksize=1))
        # In order of cases, each kept when its last seed is done.
        for name in names:
            missed += _keep_case(name, [next(results) for _ in SEEDS])
    return missed


def _learn_to_execute() -> list[str]:
    print("| case | seed | excess over the closed form | gap at half time | seconds |")
    print("| --- | --- | --- | --- | --- |")
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.map(execute_and_print, SEEDS, chunksize=1)
    worst = (
        ("excess", max(one.excess for one in found), "share of the least cost", MOST_EXCESS),
        ("half_time_gap", max(one.half_time_gap for one in found), "share", MOST_HALF_TIME_GAP),
    )
    for name, value, unit, most in worst:
        keep(Figure(f"learn.{EXECUTOR}_{name}", value, unit, limit=most))
    return [f"{EXECUTOR}_{name}" for name, value, _, most in worst if not value <= most]


def _keep_case(name: str, found: list[Trained]) -> list[str]:
    case = CASES[name]
    missed: list[str] = []
    for figure, (statistic, least) in case.figures.items():
        value = statistic([one.share for one in found])
        keep(Figure(f"learn.{figure}", value, "share of J*", limit=least))
        if value < least:
            missed.append(figure)
    if not case.figures:
        worst = max(one.mean_abs_position for one in found)
        keep(Figure("learn.w0_mean_abs_position", worst, "weight", limit=MOST_POSITION))
        if worst > MOST_POSITION:
            missed.append("w0_mean_abs_position")
    if case.limit is not None:
        value = median([one.limit_share or 0.0 for one in found])
        least, largest = case.limit.bounds
        # One that has to be broken is no bar to stay below.
        bound = largest if isfinite(largest) else None
        keep(Figure(f"learn.{case.limit.figure}", value, "share of limit", limit=bound))
        if not least <= value <= largest:
            missed.append(case.limit.figure)
    seconds = max(one.seconds for one in found)
    keep(Figure(f"learn.{name}_seconds", seconds, "s", limit=case.most_seconds))
    if case.most_seconds is not None and seconds > case.most_seconds:
        missed.append(f"{name}_seconds")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
