"""Which files of the package the results of each stage depend on."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

# What puts stored bars and actions together by company.
COMPANY_CODE = (
    "bars/actions/companies.py",
    "bars/actions/renames.py",
    "pipeline/market_tables.py",
)
SCHEMA_CODE = ("schema.py", "columns.py")
# What the report makes of stored feature quality.
QUALITY_CODE = tuple(
    f"features/{name}.py"
    for name in (
        "information_coefficient",
        "newey_west",
        "quality",
        "quality_plots",
        "redundancy",
    )
)
# What says how sure figures and forecasts are.
BOOTSTRAP_CODE = ("bootstrap.py",)
# What turns kernels into machine code.
COMPILING_CODE = ("compiling.py",)
# What keeps weights within their limits and holds trades back; the rest of that room is about
# orders and accounts.
WEIGHT_LIMITS_CODE = (
    "risk/compiled",
    "risk/limits.py",
    "risk/projection.py",
    "risk/rebalance_rule.py",
)
TRADING_ROOMS = (
    "agent_specs.py",
    "rebalance_specs.py",
    "delistings.py",
    "bars/calendars/weeks.py",
    "bars/universe.py",
    "simulation",
    *WEIGHT_LIMITS_CODE,
    "policy",
    *COMPANY_CODE,
    *COMPILING_CODE,
)
# What trades portfolios and writes down what happened.
ENGINE_CODE = tuple(
    f"backtest/{name}.py"
    for name in ("engine", "event_engine", "order_queue", "orders", "recording", "window")
)
# What trades a test window again, or one that went otherwise.
STRESS_CODE = tuple(
    f"backtest/{name}.py"
    for name in (
        "adjusted_bars",
        "allocations",
        "bar_moves",
        "baselines",
        "break_even",
        "break_even_costs",
        "conditions",
        "crisis_windows",
        "folds",
        "hierarchical_risk_parity",
        "market_regimes",
        "metrics",
        "outages",
        "periodic_rules",
        "redeciding",
        "resampled_paths",
        "sensitivity",
        "shocks",
        "stress",
        "stress_rows",
        "stress_scenarios",
        "vectorised",
    )
)
# What fits and trades the splits of a cross-validation.
VALIDATION_CODE = (
    "backtest/cross_validation",
    *(
        f"backtest/{name}.py"
        for name in (
            "allocations",
            "baselines",
            "combinatorial_splits",
            "folds",
            "hierarchical_risk_parity",
            "metrics",
            "net_returns",
            "periodic_rules",
        )
    ),
)
LEARNING_ROOMS = ("features", "forecast", "forecast_specs.py", *BOOTSTRAP_CODE, *TRADING_ROOMS)
# What the results of a stage, or of one of its assets, depend on. A change to any of these files
# makes their partitions stale.
STAGE_CODE: Mapping[str, tuple[str, ...]] = {
    "bars": (*SCHEMA_CODE, "bars", "pipeline/bars"),
    "features": (
        *SCHEMA_CODE,
        "features",
        *COMPANY_CODE,
        *COMPILING_CODE,
        "pipeline/features.py",
    ),
    "forecast": (
        *SCHEMA_CODE,
        "features",
        "forecast",
        "forecast_specs.py",
        *BOOTSTRAP_CODE,
        *COMPANY_CODE,
        *COMPILING_CODE,
        "pipeline/forecast.py",
    ),
    "policy": (*SCHEMA_CODE, *TRADING_ROOMS, "pipeline/policy.py"),
    # Stage `policy`, but one of them is a forecaster.
    "references": (*SCHEMA_CODE, *LEARNING_ROOMS, "pipeline/references.py"),
    # Stage `policy`, but it trades a test window too; what reports make of it trains nothing again.
    "forecast_ablation": (
        *SCHEMA_CODE,
        *TRADING_ROOMS,
        *ENGINE_CODE,
        "backtest/ablation.py",
        "backtest/fold_ablation.py",
        "backtest/folds.py",
        "backtest/steady_groups.py",
        "pipeline/policy.py",
        "pipeline/ablation.py",
    ),
    "backtest": (
        *SCHEMA_CODE,
        *TRADING_ROOMS,
        *QUALITY_CODE,
        *BOOTSTRAP_CODE,
        "backtest",
        "pipeline/backtest.py",
        "pipeline/policy.py",
        "pipeline/traded_folds.py",
        "pipeline/walk_forward_report.py",
        # What the report reads, leaves out and counts.
        "survey.py",
        "cross_validation_schema.py",
        "pipeline/market_values.py",
        "pipeline/report_inputs.py",
        "pipeline/ledger.py",
        "pipeline/ledger_check.py",
        "pipeline/trials.py",
        "pipeline/tried_markets.py",
    ),
    # Stage `backtest`, but it reads forecasters too.
    "explanation": (
        *SCHEMA_CODE,
        "explanation_schema.py",
        "integrated_gradients.py",
        "block_permutation.py",
        *LEARNING_ROOMS,
        "backtest",
        "pipeline/explanation.py",
    ),
    # Stage `backtest`, but it forecasts and decides; what the report makes of it trades nothing.
    "stress": (
        *SCHEMA_CODE,
        *LEARNING_ROOMS,
        *ENGINE_CODE,
        *STRESS_CODE,
        "pipeline/policy.py",
        "pipeline/stress.py",
    ),
    # Stage `backtest`, but it fits too, and what the report makes of it fits nothing again.
    "cross_validation": (
        *SCHEMA_CODE,
        "cross_validation_schema.py",
        *LEARNING_ROOMS,
        *ENGINE_CODE,
        *VALIDATION_CODE,
        "pipeline/cross_validation.py",
    ),
    "governance": (
        *SCHEMA_CODE,
        *LEARNING_ROOMS,
        "backtest",
        "governance",
        "pipeline/governance.py",
    ),
    "paper": (
        *SCHEMA_CODE,
        "paper_schema.py",
        *LEARNING_ROOMS,
        "risk",
        "governance",
        "paper",
        "pipeline/paper.py",
    ),
    # Stage `paper`, but it sends nothing.
    "shadow_session": (
        *SCHEMA_CODE,
        "paper_schema.py",
        *LEARNING_ROOMS,
        "risk",
        "governance",
        "paper",
        "pipeline/paper.py",
        "pipeline/shadow_session.py",
    ),
    # Stage `paper`, but it trades nothing.
    "session_replay": (
        *SCHEMA_CODE,
        "paper_schema.py",
        "replay_schema.py",
        *LEARNING_ROOMS,
        "risk",
        "governance",
        "paper",
        "pipeline/paper.py",
        "pipeline/session_replay.py",
    ),
}


@cache
def code_version(stage: str) -> str:
    """Return the first 16 hex digits of the sha256 over the files of an entry of `STAGE_CODE`."""
    hasher = hashlib.sha256()
    for path in sorted(_code_files(STAGE_CODE[stage])):
        hasher.update(path.relative_to(PACKAGE).as_posix().encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:16]


def _code_files(parts: Iterable[str]) -> Iterable[Path]:
    for part in parts:
        path = PACKAGE / part
        yield from path.rglob("*.py") if path.is_dir() else [path]
