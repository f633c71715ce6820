"""Which assets a declaration has, what each reads and on which declared values it depends.

The one description of the graph: Dagster's assets, dependencies and partition mappings are built
from it, and `trading_assets.plan` decides with it what is missing or stale.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from math import ceil
from typing import Any

from trading_assets.declarations import Declarations
from trading_assets.features.windows import LOOKBACK_MONTHS
from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis, Periods, add_months
from trading_assets.stage_code import code_version
from trading_assets.strategy import BacktestSpec, FoldsSpec, Strategy

# A month has at most 23 sessions: enough to reach the anchor of the newest month's features.
DECISION_SESSIONS = 23 * (LOOKBACK_MONTHS + 1)

# Sessions before a night among which those are looked for that have no replay yet: a month.
REPLAYED_SESSIONS = 21

# Months of bars before a test window: a year of returns for textbook portfolios, the close before
# the first of them, and holidays.
BASELINE_MONTHS = 13

# Fields of a strategy's policy that try or measure and change no trained or traded number.
MEASURES = ("search", "ablation")
# Fields of its backtest that only say what else is done with what was traded.
REPORTED = ("stress_paths", "prop_firm", "cross_validation")


@dataclass(frozen=True, slots=True)
class Reads:
    """An edge: the upstream asset, and the window of it that a partition reads.

    Attributes
    ----------
    asset : str
        Upstream asset, `data_set_or_strategy/name`.
    start_offset, end_offset : int
        Ends of the window, moved by whole partitions of the reader; both 0 is the reader's own.
    reads_all : bool
        Whether every upstream partition is read.
    is_optional : bool
        Whether a partition that does not exist is done without.
    covers_folds : bool
        Whether the window spans all closed folds: the offsets move, in folds, the start of the
        first and the end of the last.
    not_before : date, optional
        Where the window begins at the earliest, however far its offset reaches.
    """

    asset: str
    start_offset: int = 0
    end_offset: int = 0
    reads_all: bool = False
    is_optional: bool = False
    covers_folds: bool = False
    not_before: date | None = None


@dataclass(frozen=True, slots=True)
class AssetNode:
    """One asset of the graph.

    Attributes
    ----------
    key : str
        `data_set_or_strategy/name`.
    stage : str
        Stage of the pipeline: group, lake folder and room of the code.
    axis : Axis
        What its partition keys stand for.
    reads : tuple of Reads
        Upstream windows.
    depends_on : mapping
        Declared values that its content depends on.
    is_record : bool
        Whether a partition is a record of what happened then: never stale, never run again.
    code : str
        Entry of `STAGE_CODE` that its results depend on; empty is that of the stage.
    """

    key: str
    stage: str
    axis: Axis
    reads: tuple[Reads, ...]
    depends_on: Mapping[str, Any]
    is_record: bool = False
    code: str = ""

    @property
    def code_version(self) -> str:
        """Digest of the files that its results depend on."""
        return code_version(self.code or self.stage)

    @property
    def declaration_digest(self) -> str:
        """Digest of the declared values that the asset depends on."""
        return digest(self.depends_on)


@dataclass(frozen=True, slots=True)
class AssetGraph:
    """The assets of one data set or one strategy, in the order data flows."""

    owner: str
    nodes: tuple[AssetNode, ...]
    periods: Periods

    def node(self, key: str) -> AssetNode:
        """Return the node with this key; a KeyError means the graph was asked for a stranger."""
        return {node.key: node for node in self.nodes}[key]


def digest(values: object) -> str:
    """Return the sha256 of values as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def market_data_graph(name: str, spec: MarketDataSpec) -> AssetGraph:
    """Return the assets of a data set: bars as fetched, actions, and bars that passed."""
    fetched = _dump(
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
            {**fetched, **_dump(spec, "validation")},
        ),
    )
    return AssetGraph(name, nodes, Periods(spec))


def strategy_graph(name: str, strategy: Strategy, market: MarketDataSpec) -> AssetGraph:
    """Return the assets of a strategy, from features to paper sessions."""
    periods = Periods(market, strategy.folds)
    nodes = (
        _features(name, strategy),
        *_fold_nodes(name, strategy, periods),
        *_cross_validation(name, strategy, periods),
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
        _dump(strategy, "market_data", "features"),
    )


def _fold_nodes(name: str, strategy: Strategy, periods: Periods) -> Iterable[AssetNode]:
    data = strategy.market_data
    before = _reach(strategy.folds, periods, strategy.folds.train_months)
    bars, actions = f"{data}/validated_bars", Reads(f"{data}/corporate_actions")
    features, forecasts = f"{name}/features", f"{name}/forecasts"
    forecast = _dump(strategy, "market_data", "features", "forecast", "folds")
    trained_on = (before.reads(features, -1), before.reads(bars, -1), actions)
    yield AssetNode(f"{name}/forecaster", "forecast", Axis.FOLD, trained_on, forecast)
    read = (Reads(f"{name}/forecaster"), before.reads(features, 0), before.reads(bars, 0), actions)
    yield AssetNode(forecasts, "forecast", Axis.FOLD, read, forecast)
    traded = {
        **forecast,
        **_dump(strategy, "costs", "risk"),
        "backtest": strategy.backtest.model_dump(mode="json", exclude=set(REPORTED)),
    }
    policy = strategy.policy.model_dump(mode="json", exclude={"agents", "ensemble", *MEASURES})
    for agent, spec in strategy.policy.agents.items():
        own, key = spec.model_dump(mode="json"), f"{name}/policy/{agent}"
        trained = {**traded, "policy": policy, "agent": own}
        yield AssetNode(key, "policy", Axis.FOLD, (Reads(forecasts), *trained_on), trained)
        if strategy.policy.ablation == "forecasts":
            yield AssetNode(
                f"{name}/forecast_ablation/{agent}",
                "policy",
                Axis.FOLD,
                (Reads(key), Reads(forecasts), *read[1:]),
                trained,
                code="forecast_ablation",
            )
    references = f"{name}/references"
    yield AssetNode(
        references,
        "policy",
        Axis.FOLD,
        (Reads(forecasts), *trained_on),
        {**traded, "policy": policy},
        code="references",
    )
    policies = tuple(Reads(f"{name}/policy/{agent}") for agent in strategy.policy.agents)
    looked_back = -ceil(BASELINE_MONTHS / periods.fold_months)
    # The train window says what is usual; textbook portfolios, and features of other prices, look
    # back too.
    explained = max(strategy.folds.train_months, BASELINE_MONTHS)
    stressed = max(strategy.folds.train_months, LOOKBACK_MONTHS)
    judged = {**traded, "policy": strategy.policy.model_dump(mode="json", exclude=set(MEASURES))}
    yield AssetNode(
        f"{name}/backtest",
        "backtest",
        Axis.FOLD,
        # The first decision is taken at the close before the test window, and what is observed
        # looks back further: the window before is read too, and of bars as many as hold a year.
        (
            *policies,
            Reads(references),
            Reads(forecasts),
            Reads(features, -1, 0),
            Reads(bars, looked_back, 0),
            actions,
        ),
        judged,
    )
    yield AssetNode(
        f"{name}/explanation",
        "backtest",
        Axis.FOLD,
        (
            Reads(f"{name}/backtest"),
            *policies,
            Reads(forecasts),
            Reads(f"{name}/forecaster"),
            before.reads(features, 0),
            _reach(strategy.folds, periods, explained).reads(bars, 0),
            actions,
        ),
        judged,
        code="explanation",
    )
    yield AssetNode(
        f"{name}/stress",
        "backtest",
        Axis.FOLD,
        (
            Reads(f"{name}/backtest"),
            *policies,
            Reads(f"{name}/forecaster"),
            Reads(forecasts),
            before.reads(features, 0),
            _reach(strategy.folds, periods, stressed).reads(bars, 0),
            actions,
        ),
        {**judged, "stress_paths": strategy.backtest.stress_paths},
        code="stress",
    )


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far before its test window a fold reads: whole folds, and the day where all begin."""

    start_offset: int
    not_before: date | None

    def reads(self, asset: str, end_offset: int) -> Reads:
        return Reads(asset, self.start_offset, end_offset, not_before=self.not_before)


def _reach(folds: FoldsSpec, periods: Periods, months: int) -> _Reach:
    """Return how far `months` before a test window reach, of anchored folds before the first."""
    n_folds = ceil(months / periods.fold_months)
    if folds.window == "rolling":
        return _Reach(-n_folds, None)
    anchor = add_months(folds.first, -n_folds * periods.fold_months)
    # Offsets are the same for every partition: the last fold there can be reaches the anchor.
    ends = [folds.last, periods.market.end, periods.calendar.last_day]
    last = min(day for day in ends if day is not None)
    longest = (last.year - anchor.year) * 12 + last.month - anchor.month
    return _Reach(-max(longest // periods.fold_months, n_folds), anchor)


def _cross_validation(name: str, strategy: Strategy, periods: Periods) -> Iterable[AssetNode]:
    spec = strategy.backtest.cross_validation
    if spec is None:
        return
    data = strategy.market_data
    train = -(strategy.folds.train_months // periods.fold_months)
    looked_back = train - ceil(BASELINE_MONTHS / periods.fold_months)
    # Months that are not stored yet are done without: the folds that they belong to are left out.
    covering = partial(Reads, covers_folds=True, is_optional=True)
    backtest = _dump(strategy.backtest, "initial_equity_usd", "cross_validation")
    left_out = {"agents", "ensemble", *MEASURES}
    yield AssetNode(
        f"{name}/cross_validation",
        "backtest",
        Axis.NONE,
        (
            # Rows of the first sessions look back too.
            covering(f"{name}/features", train - 1),
            covering(f"{data}/validated_bars", looked_back),
            Reads(f"{data}/corporate_actions"),
        ),
        {
            **_dump(strategy, "market_data", "features", "forecast", "folds", "costs", "risk"),
            "backtest": backtest,
            "policy": strategy.policy.model_dump(mode="json", exclude=left_out),
        },
        code="cross_validation",
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
        _judged(strategy, "paper"),
    )
    if strategy.is_oracle_world:
        for agent, spec in strategy.policy.agents.items():
            depends_on = {
                **_dump(strategy, "market_data", "costs", "risk"),
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


def _dump(spec: MarketDataSpec | Strategy | BacktestSpec, *names: str) -> dict[str, Any]:
    return spec.model_dump(mode="json", include=set(names))


def _judged(strategy: Strategy, *without: str) -> dict[str, Any]:
    left_out = {"description", "profiles", "schedules", *without}
    # A search tries values and decides none.
    return strategy.model_dump(
        mode="json", exclude={**dict.fromkeys(left_out, True), "policy": {"search"}}
    )
