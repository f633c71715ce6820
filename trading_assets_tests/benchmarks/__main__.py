"""`make bench [ONLY=stage]`: measure and keep the figures of one stage or of all."""

import sys

from trading_assets_tests.benchmarks import (
    backtests,
    bars,
    decisions,
    environments,
    features,
    forecasts,
    ingest,
    leaks,
    paper,
    pretrade,
    reports,
    spine,
    tail_risks,
    trainings,
)

STAGES = spine.STAGES | bars.STAGES | ingest.STAGES | features.STAGES | leaks.STAGES
STAGES |= forecasts.STAGES | environments.STAGES | trainings.STAGES | decisions.STAGES
STAGES |= backtests.STAGES | reports.STAGES | pretrade.STAGES | tail_risks.STAGES
STAGES |= paper.STAGES


def main(only: list[str]) -> int:
    """Measure the named stages, or all; return 2 for an unknown one."""
    for name in only:
        if name not in STAGES:
            print(f"ONLY was {name!r}; expected one of {', '.join(STAGES)}", file=sys.stderr)
            return 2
    for name in only or STAGES:
        STAGES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
