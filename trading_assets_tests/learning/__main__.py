"""`make learn [ONLY=case]`: train every case, print it seed by seed, and keep its figures."""

import multiprocessing
import os
import sys

from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.learning.cases import CASES, SEEDS
from trading_assets_tests.learning.trained import Trained, train_seed

MOST_POSITION = 0.05


def main(only: list[str]) -> int:
    """Train the named cases, or all; return 1 if a figure is missed and 2 for an unknown case."""
    for name in only:
        if name not in CASES:
            print(f"ONLY was {name!r}; expected one of {', '.join(CASES)}", file=sys.stderr)
            return 2
    names = only or list(CASES)
    work = [(name, seed) for name in names for seed in SEEDS]
    missed: list[str] = []
    print("| case | seed | share of J* | s.e. | mean abs position | seconds | checkpoints |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    # A process each, one seed on each core: libraries keep threads and caches of their own.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        results = dict(zip(work, pool.starmap(_train, work, chunksize=1), strict=True))
    for name in names:
        missed += _keep_case(name, [results[name, seed] for seed in SEEDS])
    print(f"missed: {', '.join(missed)}" if missed else "every figure is reached")
    return 1 if missed else 0


def _train(name: str, seed: int) -> Trained:
    found = train_seed(name, seed)
    scores = " ".join(f"{score:.2f}" for score in found.scores)
    print(
        f"| {name} | {seed} | {found.share:.3f} | {found.standard_error:.3f} |"
        f" {found.mean_abs_position:.4f} | {found.seconds:.1f} | {scores} |",
        flush=True,
    )
    return found


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
    seconds = max(one.seconds for one in found)
    keep(Figure(f"learn.{name}_seconds", seconds, "s", limit=case.most_seconds))
    if case.most_seconds is not None and seconds > case.most_seconds:
        missed.append(f"{name}_seconds")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
