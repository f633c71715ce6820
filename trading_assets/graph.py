"""Which assets a declaration has, what each reads and on which declared values it depends.

The one description of the graph: Dagster's assets, dependencies and partition mappings are built
from it, and `trading_assets.plan` decides with it what is missing or stale.
"""

from collections.abc import Iterable
from typing import Any

from trading_assets.asset_nodes import AssetGraph, AssetNode, Reads, values_of
from trading_assets.declarations import Declarations
from trading_assets.features.windows import LOOKBACK_MONTHS
from trading_assets.fold_graph import MEASURES, cross_validation_nodes, fold_nodes
from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis, Periods
from trading_assets.risk_specs import PAPER_LIMITS
from trading_assets.strategy import Strategy

# A month has at most 23 sessions: enough to reach the anchor of the newest month's features.
DECISION_SESSIONS = 23 * (LOOKBACK_MONTHS + 1)

# Sessions before a night among which those are looked for that have no replay yet: a month.
REPLAYED_SESSIONS = 21

# A search tries values and decides none.
_LEFT_OUT: dict[str, Any] = {
    "description": True,
    "profiles": True,
    "schedules": True,
    "policy": {"search"},
}


def market_data_graph(name: str, spec: MarketDataSpec) -> AssetGraph:
    """Return the assets of a data set: bars as fetched, actions, and bars that passed."""
    fetched = values_of(
        spec,
        "source",
        "fallback",
        "universe",
        "members",
        "series",
        "bar_length",
        "fetched_bar_length",
        "calendar",
        "start",
        "end",
        "publication_lag_minutes",
    )
    raw, actions = f"{name}/raw_bars", f"{name}/corporate_actions"
    nodes = (
        AssetNode(raw, "bars", Axis.MONTH, (), fetched),
        AssetNode(actions, "bars", Axis.NONE, (Reads(raw, reads_all=True),), {}),
        AssetNode(
            f"{name}/validated_bars",
            "bars",
            Axis.MONTH,
            # The month before carries the close that the first return is judged by.
            (Reads(raw, -1, 0), Reads(actions)),
            {**fetched, **values_of(spec, "validation")},
        ),
    )
    return AssetGraph(name, nodes, Periods(spec))


def strategy_graph(name: str, strategy: Strategy, market: MarketDataSpec) -> AssetGraph:
    """Return the assets of a strategy, from features to paper sessions."""
    periods = Periods(market, strategy.folds)
    nodes = (
        _features(name, strategy),
        *fold_nodes(name, strategy, periods),
        *cross_validation_nodes(name, strategy, periods),
        *_unpartitioned_nodes(name, strategy),
        *_session_nodes(name, strategy),
    )
    return AssetGraph(name, nodes, periods)


def full_graph(declarations: Declarations, strategy: str) -> tuple[AssetGraph, AssetGraph]:
    """Return the graphs of a strategy's data set and of the strategy itself."""
    declared = declarations.strategy(strategy)
    market = declarations.market_data[declared.market_data]
    return (
        market_data_graph(declared.market_data, market),
        strategy_graph(strategy, declared, market),
    )


def _features(name: str, strategy: Strategy) -> AssetNode:
    data = strategy.market_data
    reads = (
        Reads(f"{data}/validated_bars", -LOOKBACK_MONTHS, 0),
        Reads(f"{data}/corporate_actions"),
    )
    return AssetNode(
        f"{name}/features",
        "features",
        Axis.MONTH,
        reads,
        values_of(strategy, "market_data", "features"),
    )


def _unpartitioned_nodes(name: str, strategy: Strategy) -> Iterable[AssetNode]:
    ablated = strategy.policy.agents if strategy.policy.ablation == "forecasts" else ()
    is_validated = strategy.backtest.cross_validation is not None
    validated = [f"{name}/cross_validation"] if is_validated else []
    yield AssetNode(
        f"{name}/walk_forward_report",
        "backtest",
        Axis.NONE,
        (
            Reads(f"{name}/backtest", reads_all=True),
            Reads(f"{name}/forecaster", reads_all=True, is_optional=True),
            Reads(f"{name}/explanation", reads_all=True, is_optional=True),
            Reads(f"{name}/stress", reads_all=True, is_optional=True),
            *(
                Reads(f"{name}/forecast_ablation/{agent}", reads_all=True, is_optional=True)
                for agent in ablated
            ),
            *(Reads(asset, reads_all=True, is_optional=True) for asset in validated),
        ),
        _reported(strategy),
    )
    if strategy.is_oracle_world:
        for agent, spec in strategy.policy.agents.items():
            depends_on = {
                **values_of(strategy, "market_data", "costs", "risk", "rebalance"),
                "policy": strategy.policy.model_dump(mode="json", exclude=set(MEASURES)),
                "agent": spec.model_dump(mode="json"),
            }
            yield AssetNode(f"{name}/oracle_ladder/{agent}", "policy", Axis.NONE, (), depends_on)


def _session_nodes(name: str, strategy: Strategy) -> Iterable[AssetNode]:
    data = strategy.market_data
    bars, actions = f"{data}/validated_bars", Reads(f"{data}/corporate_actions")
    features = f"{name}/features"
    window = -strategy.governance.challenger_sessions
    declared = _judged(strategy)
    rolling = (Reads(features, window, -1), Reads(bars, -DECISION_SESSIONS, -1), actions)
    before_open = (Reads(features, -1, -1), Reads(bars, -DECISION_SESSIONS, 0), actions)
    edges: dict[str, tuple[str, tuple[Reads, ...]]] = {
        "drift_report": ("governance", (Reads(features, window, -1),)),
        "challenger": ("governance", rolling),
        "champion": ("governance", (Reads(f"{name}/challenger"),)),
        "paper_session": ("paper", (Reads(f"{name}/champion", is_optional=True), *before_open)),
    }
    for asset, (stage, reads) in edges.items():
        yield AssetNode(f"{name}/{asset}", stage, Axis.SESSION, reads, declared, is_record=True)
    yield AssetNode(
        f"{name}/shadow_session",
        "paper",
        Axis.SESSION,
        (
            Reads(f"{name}/challenger", is_optional=True),
            Reads(f"{name}/paper_session"),
            Reads(bars, -DECISION_SESSIONS, 0),
            actions,
        ),
        declared,
        is_record=True,
        code="shadow_session",
    )
    yield AssetNode(
        f"{name}/session_replay",
        "paper",
        Axis.SESSION,
        (
            Reads(f"{name}/paper_session", -REPLAYED_SESSIONS, 0, is_optional=True),
            Reads(bars, -DECISION_SESSIONS, 0),
            actions,
        ),
        declared,
        is_record=True,
        code="session_replay",
    )


def _judged(strategy: Strategy) -> dict[str, Any]:
    return strategy.model_dump(mode="json", exclude=_LEFT_OUT)


def _reported(strategy: Strategy) -> dict[str, Any]:
    left_out: dict[str, Any] = {**_LEFT_OUT, "paper": True, "risk": set(PAPER_LIMITS)}
    return strategy.model_dump(mode="json", exclude=left_out)
