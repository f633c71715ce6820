"""What every asset body shares: its place in the graph, its partitions, its inputs, its commit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from trading_assets.asset_nodes import AssetNode, digest
from trading_assets.errors import DataError
from trading_assets.lake.store import InputRef, Lake, PartitionRecord, PartitionWrite, Provenance
from trading_assets.periods import Axis
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.instance import PROCESS_TAG, process_identity
from trading_assets.pipeline.resources import LakeResource, environment
from trading_assets.upstream import upstream_keys

# Tables whose name within an asset is not their name in the schema.
TABLE_OF = {"actions": "corporate_actions"}


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
        self,
        writes: Sequence[PartitionWrite],
        depends_on: Mapping[str, Any] | None = None,
        noted: Mapping[str, Any] | None = None,
    ) -> list[PartitionRecord]:
        """Commit partitions with full provenance.

        Parameters
        ----------
        writes : sequence of PartitionWrite
            Content of each partition.
        depends_on : mapping, optional
            The declared values as they ran, where launchpad sizes replaced some.
        noted : mapping, optional
            What is kept beside these values and makes nothing stale.
        """
        effective = dict(depends_on or self.node.depends_on)
        provenance = Provenance(
            run_id=self.run_id,
            code_version=self.node.code_version,
            declaration_digest=digest(effective),
            config={**effective, **(noted or {})},
            environment=environment(),
        )
        return self.lake.commit(writes, provenance)


def report_partitions(
    context: dg.AssetExecutionContext,
    records: Iterable[PartitionRecord],
    further: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Attach each partition's own small numbers, so that a range shows them one by one.

    Parameters
    ----------
    context : AssetExecutionContext
        The run's.
    records : iterable of PartitionRecord
        What was committed.
    further : mapping, optional
        Further numbers by partition.
    """
    for record in records:
        facts = {**partition_facts(record), **(further or {}).get(record.partition, {})}
        if record.partition:
            context.add_asset_metadata(facts, partition_key=record.partition)
        else:
            context.add_asset_metadata(facts)


def partition_facts(record: PartitionRecord) -> dict[str, Any]:
    """Return what the UI shows of any stored partition."""
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
    return metadata


def _session_bounds(tables: Iterable[pl.DataFrame]) -> tuple[date | None, date | None]:
    days = [table["session"] for table in tables if "session" in table.columns and len(table)]
    if not days:
        return None, None
    lows: list[Any] = [series.min() for series in days]
    highs: list[Any] = [series.max() for series in days]
    return min(lows), max(highs)
