"""Which partitions of each upstream asset a partition reads."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from trading_assets.asset_nodes import AssetGraph, AssetNode, Reads
from trading_assets.periods import Axis, Periods, Span


def upstream_keys(
    graphs: Sequence[AssetGraph], node: AssetNode, key: str, now: datetime
) -> dict[str, list[str]]:
    """Return, for each upstream asset, the partition keys that a partition reads.

    Parameters
    ----------
    graphs : sequence of AssetGraph
        Graphs that hold the node and everything upstream of it.
    node : AssetNode
        The reader.
    key : str
        Its partition key; empty for an unpartitioned asset.
    now : datetime
        Aware moment that decides which partitions exist.
    """
    nodes = {n.key: (g, n) for g in graphs for n in g.nodes}
    owner = nodes[node.key][0]
    found: dict[str, list[str]] = {}
    for edge in node.reads:
        graph, upstream = nodes[edge.asset]
        found[edge.asset] = _window(owner.periods, graph.periods, node, upstream, edge, key, now)
    return found


def _window(
    owner: Periods,
    upstream_periods: Periods,
    node: AssetNode,
    upstream: AssetNode,
    edge: Reads,
    key: str,
    now: datetime,
) -> list[str]:
    if upstream.axis is Axis.NONE:
        return [""]
    if edge.covers_folds:
        return _keys_of_folds(owner, upstream_periods, upstream, edge, now)
    if edge.reads_all or node.axis is Axis.NONE:
        return upstream_periods.keys(upstream.axis, now)
    if upstream.axis is node.axis and (edge.start_offset, edge.end_offset) == (0, 0):
        return [key]
    span = owner.span(node.axis, key, edge.start_offset, edge.end_offset)
    if edge.not_before is not None:
        span = replace(span, first=max(span.first, edge.not_before))
    return upstream_periods.keys_in(upstream.axis, span, now)


def _keys_of_folds(
    owner: Periods, upstream_periods: Periods, upstream: AssetNode, edge: Reads, now: datetime
) -> list[str]:
    folds = owner.keys(Axis.FOLD, now)
    if not folds:
        return []
    first = owner.span(Axis.FOLD, folds[0], edge.start_offset, 0).first
    last = owner.span(Axis.FOLD, folds[-1], 0, edge.end_offset).last
    return upstream_periods.keys_in(upstream.axis, Span(first, last), now)
