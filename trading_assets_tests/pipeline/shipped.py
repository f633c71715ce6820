"""The shipped declarations, and small ones, as Dagster and as `trading_assets.graph` have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from trading_assets.asset_nodes import AssetGraph, AssetNode, Reads
from trading_assets.graph import market_data_graph, strategy_graph
from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis
from trading_assets.pipeline.schedules import NEW_YORK
from trading_assets.pipeline.settings import read_settings
from trading_assets.strategy import Strategy

# A Thursday with an open exchange.
FIXED_NOW = datetime(2026, 1, 15, 12, tzinfo=ZoneInfo(NEW_YORK))


@dataclass(frozen=True)
class Shipped:
    """All graphs by owner, and the repository that Dagster makes of them."""

    graphs: Mapping[str, AssetGraph]
    repository: dg.RepositoryDefinition
    data_of: Mapping[str, str]

    @property
    def assets(self) -> "dict[str, tuple[AssetGraph, AssetNode]]":
        return {node.key: (graph, node) for graph in self.graphs.values() for node in graph.nodes}

    def read_by(self, owner: str) -> list[AssetGraph]:
        """Return the graphs that the owner's assets stand in and read from."""
        names = [self.data_of[owner], owner] if owner in self.data_of else [owner]
        return [self.graphs[name] for name in names]

    def dagster_node(self, key: str):
        return self.repository.asset_graph.get(dg.AssetKey(key.split("/")))

    def dagster_keys(self, key: str, now: datetime) -> list[str]:
        definition = self.dagster_node(key).partitions_def
        if definition is None:
            return []
        with dg.partition_loading_context(effective_dt=now):
            return list(definition.get_partition_keys())

    def dagster_upstream(self, reader: str, read: str, key: str, now: datetime) -> list[str]:
        """Return what Dagster shows as upstream of one partition."""
        asset_graph = self.repository.asset_graph
        own, other = dg.AssetKey(reader.split("/")), dg.AssetKey(read.split("/"))
        mapping = asset_graph.get_partition_mapping(own, other)
        return mapped(
            mapping,
            asset_graph.get(own).partitions_def,
            asset_graph.get(other).partitions_def,
            key,
            now,
        )


def mapped(
    mapping: dg.PartitionMapping,
    reader: dg.PartitionsDefinition | None,
    read: dg.PartitionsDefinition | None,
    key: str,
    now: datetime,
) -> list[str]:
    """Return the upstream keys that a mapping gives; an unpartitioned side is the key ''."""
    if read is None:
        return [""]
    with dg.partition_loading_context(effective_dt=now):
        subset = None if reader is None else reader.subset_with_partition_keys([key])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, reader, read)
        assert not list(found.required_but_nonexistent_subset.get_partition_keys())
        return sorted(found.partitions_subset.get_partition_keys())


def shows_own_month(
    graph: AssetGraph, node: AssetNode, upstream: AssetNode, edge: Reads, key: str
) -> bool:
    """Say whether Dagster's lineage holds one month more than is read: the session's own.

    A window that ends with the session before ends, for Dagster, where this session begins. If the
    exchange was closed between the two and a month began meanwhile, that closed day's month, which
    is the session's own, is part of the window.
    """
    if node.axis is not Axis.SESSION or upstream.axis is not Axis.MONTH or edge.end_offset == 0:
        return False
    calendar, span = graph.periods.calendar, graph.periods.span(Axis.SESSION, key)
    before = calendar.previous_session(span.first)
    is_first_of_month = before.month != span.first.month
    return is_first_of_month and (span.first - before).days > 1 and span.first.day > 1


def load_shipped(definitions: dg.Definitions) -> Shipped:
    declarations = read_settings().declarations()
    graphs = {n: market_data_graph(n, spec) for n, spec in declarations.market_data.items()}
    for name, strategy in declarations.strategies.items():
        graphs[name] = strategy_graph(name, strategy, declarations.market_data_of(name))
    data_of = {name: strategy.market_data for name, strategy in declarations.strategies.items()}
    return Shipped(graphs, definitions.get_repository_def(), data_of)


def sample(keys: Sequence[str], count: int) -> list[str]:
    """Return the first, the last and evenly spaced keys between."""
    if len(keys) <= count:
        return list(keys)
    return [keys[round(place * (len(keys) - 1) / (count - 1))] for place in range(count)]


def live_market(**values: object) -> MarketDataSpec:
    return MarketDataSpec.model_validate(
        {"source": {"kind": "world"}, "universe": ["W1"], "start": "2019-01-02", **values}
    )


def strategy_over(market_data: str, folds: dict[str, object], sessions: int = 504) -> Strategy:
    return Strategy.model_validate(
        {
            "market_data": market_data,
            "policy": {"agents": {"ppo": {}}},
            "folds": folds,
            "governance": {"challenger_sessions": sessions},
        }
    )


def quarterly() -> list[AssetGraph]:
    market = live_market()
    folds = {"period": "quarter", "first": "2022-01-01"}
    strategy = strategy_over("daily", folds)
    return [market_data_graph("daily", market), strategy_graph("quarterly", strategy, market)]
