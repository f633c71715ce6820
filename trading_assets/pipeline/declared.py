"""A declaration with its graph, and how one of its assets is declared to Dagster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from trading_assets.asset_nodes import AssetGraph, AssetNode
from trading_assets.declarations import Declarations
from trading_assets.graph import market_data_graph, strategy_graph
from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis
from trading_assets.pipeline.partitions import mapping_of, partitions_of
from trading_assets.schema import TABLES
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Declared:
    """One declaration with the graph it makes.

    Attributes
    ----------
    name : str
        Name of the declaration, first part of all its asset keys.
    graphs : tuple of AssetGraph
        Graph of the data set and, for a strategy, the strategy's own after it.
    market : MarketDataSpec
        The data set.
    strategy : Strategy or None
        The strategy, unless the declaration is a data set.
    """

    name: str
    graphs: tuple[AssetGraph, ...]
    market: MarketDataSpec
    strategy: Strategy | None = None

    @property
    def graph(self) -> AssetGraph:
        """The declaration's own graph."""
        return self.graphs[-1]

    @property
    def trading(self) -> Strategy:
        """The strategy of a strategy's declaration."""
        assert self.strategy is not None
        return self.strategy

    def node(self, name: str) -> AssetNode:
        """Return the node of one of the declaration's own assets, such as `features`."""
        return self.graph.node(f"{self.name}/{name}")

    def upstream(self, key: str) -> tuple[AssetGraph, AssetNode]:
        """Return an upstream asset with the graph it belongs to."""
        return next((g, n) for g in self.graphs for n in g.nodes if n.key == key)


def declared_market_data(name: str, declarations: Declarations) -> Declared:
    """Return a data set with its graph."""
    spec = declarations.market_data[name]
    return Declared(name, (market_data_graph(name, spec),), spec)


def declared_strategy(name: str, declarations: Declarations) -> Declared:
    """Return a strategy with its data set's graph and its own."""
    strategy = declarations.strategies[name]
    market = declarations.market_data[strategy.market_data]
    graphs = (
        market_data_graph(strategy.market_data, market),
        strategy_graph(name, strategy, market),
    )
    return Declared(name, graphs, market, strategy)


def declare_asset(
    declared: Declared, node: AssetNode, table: str | None, **further: Any
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Return `dg.asset` with everything that follows from the graph.

    Parameters
    ----------
    declared : Declared
        The declaration.
    node : AssetNode
        The asset.
    table : str or None
        Table of `schema.TABLES` that its rows follow, shown as its column schema.
    further
        Further arguments of `dg.asset`, which win.
    """
    deps: list[dg.AssetDep] = []
    for edge in node.reads:
        _, upstream = declared.upstream(edge.asset)
        mapping = mapping_of(declared.graph, node, upstream, edge)
        deps.append(dg.AssetDep(dg.AssetKey(edge.asset.split("/")), partition_mapping=mapping))
    is_ranged = node.axis is Axis.MONTH
    arguments: dict[str, Any] = {
        "key": dg.AssetKey(node.key.split("/")),
        "deps": deps,
        "partitions_def": partitions_of(declared.graph.periods, node.axis),
        "backfill_policy": dg.BackfillPolicy.single_run() if is_ranged else None,
        "group_name": node.stage,
        "code_version": node.code_version,
        "metadata": {} if table is None else {"dagster/column_schema": column_schema(table)},
        "tags": {"declaration": declared.name},
        **further,
    }
    return dg.asset(**arguments)


def column_schema(table: str) -> dg.TableSchema:
    """Return a declared table's columns as Dagster shows them."""
    declared = TABLES[table]
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.dtype),
                description=column.description,
                constraints=dg.TableColumnConstraints(unique=declared.key == (column.name,)),
            )
            for column in declared.columns
        ]
    )
