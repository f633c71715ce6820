"""What every asset body shares: its place in the graph, its partitions, its inputs, its commit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from trading_assets.declarations import Declarations
from trading_assets.errors import DataError
from trading_assets.graph import (
    AssetGraph,
    AssetNode,
    digest,
    market_data_graph,
    strategy_graph,
)
from trading_assets.lake.store import InputRef, Lake, PartitionRecord, PartitionWrite, Provenance
from trading_assets.periods import Axis
from trading_assets.pipeline.instance import PROCESS_TAG, process_identity
from trading_assets.pipeline.partitions import mapping_of, partitions_of
from trading_assets.pipeline.resources import LakeResource, environment
from trading_assets.plan import upstream_keys
from trading_assets.schema import TABLES
from trading_assets.strategy import MarketDataSpec, Strategy

# Tables whose name within an asset is not their name in the schema.
TABLE_OF = {"actions": "corporate_actions"}


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


@dataclass
class Task:
    """One execution of one asset: which partitions, what they read, and how they are committed."""

    declared: Declared
    node: AssetNode
    lake: Lake
    now: datetime
    keys: list[str]
    run_id: str
    rows_table: str | None = None
    _inputs: dict[str, dict[str, list[str]]] = field(
        default_factory=dict[str, dict[str, list[str]]]
    )

    @classmethod
    def begin(
        cls,
        context: dg.AssetExecutionContext,
        resource: LakeResource,
        declared: Declared,
        name: str,
    ) -> "Task":
        """Resolve what a run asks of an asset."""
        node = declared.node(name)
        keys = [""] if node.axis is Axis.NONE else list(context.partition_keys)
        lake = resource.open()
        # A run that repeats another starts with the other's tags.
        if context.run.tags.get(PROCESS_TAG) != process_identity():
            context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: process_identity()})
        return cls(declared, node, lake, resource.now(), keys, context.run.run_id)

    @property
    def key(self) -> str:
        """The only partition key of this execution."""
        assert len(self.keys) == 1
        return self.keys[0]

    def inputs(self, key: str) -> dict[str, list[str]]:
        """Return the upstream partitions that one partition reads, by asset."""
        if key not in self._inputs:
            graphs = self.declared.graphs
            found = upstream_keys(graphs, self.node, key, self.now)
            for edge in self.node.reads:
                if edge.is_optional:
                    stored = self.lake.records(edge.asset)
                    found[edge.asset] = [k for k in found[edge.asset] if k in stored]
            self._inputs[key] = found
        return self._inputs[key]

    def refs(self, key: str) -> list[InputRef]:
        """Return the stored inputs of one partition with their content digests.

        Raises
        ------
        DataError
            If an input has not been materialized or was refused.
        """
        found = self.inputs(key)
        return [ref for asset, keys in found.items() for ref in self.lake.inputs_for(asset, keys)]

    def read(self, asset: str, table: str = "rows", until: date | None = None) -> pl.DataFrame:
        """Read every partition that this execution needs of an upstream asset, in order.

        Parameters
        ----------
        asset : str
            Upstream asset key.
        table : str
            Table within it.
        until : date, optional
            Last session returned.
        """
        keys = sorted({key for own in self.keys for key in self.inputs(own)[asset]})
        if not keys:
            msg = f"{self.node.key} needs {asset}, which has no partition yet; materialize it first"
            raise DataError(msg)
        frame = self.lake.read(asset, keys, table)
        if until is not None and "session" in frame.columns:
            frame = frame.filter(pl.col("session") <= until)
        return frame

    def write(
        self,
        key: str,
        tables: Mapping[str, pl.DataFrame],
        blobs: Mapping[str, bytes] | None = None,
        **facts: Any,
    ) -> PartitionWrite:
        """Describe one partition's content for `commit`.

        Parameters
        ----------
        key : str
            Partition key; empty for an unpartitioned asset.
        tables : mapping of str to DataFrame
            Tables by name; each has to follow the table of `schema.TABLES` that `TABLE_OF` or its
            own name says.
        blobs : mapping of str to bytes, optional
            Other files.
        facts
            Further fields of `PartitionWrite`.
        """
        sessions = _session_bounds(tables.values())
        facts.setdefault("first_session", sessions[0])
        facts.setdefault("last_session", sessions[1])
        if "inputs" not in facts:
            facts["inputs"] = self.refs(key)
        return PartitionWrite(
            asset=self.node.key,
            stage=self.node.stage,
            partition=key,
            tables=dict(tables),
            blobs=dict(blobs or {}),
            schemas={name: self._schema_of(name) for name in tables},
            **facts,
        )

    def _schema_of(self, table: str) -> str:
        if table != "rows":
            return TABLE_OF.get(table, table)
        return self.node.key.rsplit("/", 1)[-1] if self.rows_table is None else self.rows_table

    def commit(
        self, writes: Sequence[PartitionWrite], depends_on: Mapping[str, Any] | None = None
    ) -> list[PartitionRecord]:
        """Commit partitions with full provenance.

        Parameters
        ----------
        writes : sequence of PartitionWrite
            Content of each partition.
        depends_on : mapping, optional
            The declared values as they ran, where launchpad sizes replaced some.
        """
        effective = dict(depends_on or self.node.depends_on)
        provenance = Provenance(
            run_id=self.run_id,
            code_version=self.node.code_version,
            declaration_digest=digest(effective),
            config=effective,
            environment=environment(),
        )
        return self.lake.commit(writes, provenance)


def report_partitions(
    context: dg.AssetExecutionContext, records: Iterable[PartitionRecord]
) -> None:
    """Attach each partition's own small numbers, so that a range shows them one by one."""
    for record in records:
        metadata: dict[str, Any] = {
            "content_digest": record.content_digest,
            "manifest_verdict": record.verdict,
        }
        if record.reasons:
            metadata["reasons"] = dg.MetadataValue.json(list(record.reasons))
        if record.first_session is not None:
            metadata["first_session"] = record.first_session.isoformat()
            metadata["last_session"] = str(record.last_session)
        # The UI knows the length of an asset's own table by this name.
        own = "dagster/partition_row_count" if record.partition else "dagster/row_count"
        for file in record.files:
            if file.rows is not None:
                table = Path(file.name).stem
                metadata[own if table == "rows" else f"{table}_rows"] = file.rows
        if record.partition:
            context.add_asset_metadata(metadata, partition_key=record.partition)
        else:
            context.add_asset_metadata(metadata)


def check(
    name: str, problems: Sequence[str], *, is_warning: bool = False, **metadata: Any
) -> dg.AssetCheckResult:
    """Return the result of a check that passes when there are no problems.

    Parameters
    ----------
    name : str
        Name of the check, a sentence that is true when it passes.
    problems : sequence of str
        What contradicts the sentence, at most the first twenty are shown.
    is_warning : bool
        Whether a failure is reported without blocking.
    metadata
        Further evidence.
    """
    shown = "\n".join(f"- {problem}" for problem in problems[:20])
    return dg.AssetCheckResult(
        check_name=name,
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        description=problems[0] if problems else None,
        # The UI hides Markdown behind a click: worth it only where there is something to see.
        metadata={"problems": dg.MetadataValue.md(shown) if shown else "none", **metadata},
    )


def check_spec(node: AssetNode, name: str, description: str, *, blocks: bool) -> dg.AssetCheckSpec:
    """Return the specification of a check that its asset's own run evaluates."""
    return dg.AssetCheckSpec(
        name, asset=dg.AssetKey(node.key.split("/")), description=description, blocking=blocks
    )


def _session_bounds(tables: Iterable[pl.DataFrame]) -> tuple[date | None, date | None]:
    days = [table["session"] for table in tables if "session" in table.columns and len(table)]
    if not days:
        return None, None
    lows: list[Any] = [series.min() for series in days]
    highs: list[Any] = [series.max() for series in days]
    return min(lows), max(highs)
