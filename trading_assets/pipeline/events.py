"""Tells Dagster of partitions that the lake has and the event log does not.

A run that dies between its commit and its event leaves a partition that readers use and the UI
calls missing.
"""

from collections.abc import Sequence

import dagster as dg

from trading_assets.asset_nodes import AssetGraph
from trading_assets.lake.store import Lake, PartitionRecord
from trading_assets.pipeline.instance import UNFINISHED
from trading_assets.pipeline.task import partition_facts


def report_lost_materializations(
    instance: dg.DagsterInstance, lake: Lake, graphs: Sequence[AssetGraph]
) -> list[PartitionRecord]:
    """Report each stored partition of which the instance has no materialization.

    Parameters
    ----------
    instance : DagsterInstance
        Its runs must have been swept: a run that is still at work reports for itself.
    lake : Lake
        What is stored.
    graphs : sequence of AssetGraph
        Assets to look at.

    Returns
    -------
    list of PartitionRecord
        What was reported.
    """
    unfinished = instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    at_work = {run.run_id for run in unfinished}
    reported: list[PartitionRecord] = []
    for node in [node for graph in graphs for node in graph.nodes]:
        records = lake.records(node.key)
        known = _materialized(instance, node.key) if records else set[str]()
        for partition, record in records.items():
            is_lost = partition not in known and record.run_id not in at_work
            if is_lost and record.verdict == "passed":
                instance.report_runless_asset_event(_event(node.key, record))
                reported.append(record)
    return reported


def _materialized(instance: dg.DagsterInstance, asset: str) -> set[str]:
    key = dg.AssetKey(asset.split("/"))
    partitions = instance.get_materialized_partitions(key)
    return {*partitions, *([""] if instance.get_latest_materialization_event(key) else [])}


def _event(asset: str, record: PartitionRecord) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=dg.AssetKey(asset.split("/")),
        partition=record.partition or None,
        description="Stored by a run that ended before it could report it.",
        metadata={**partition_facts(record), "stored_by_run": record.run_id},
    )
