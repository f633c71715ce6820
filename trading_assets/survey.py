"""How each partition stands against its declaration, code and inputs.

It reads the manifest only, so the answer is the same whoever asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from trading_assets.asset_nodes import AssetGraph, AssetNode, Reads
from trading_assets.periods import Axis, Periods
from trading_assets.upstream import upstream_keys


class InputLike(Protocol):
    """An input of a stored partition."""

    @property
    def asset(self) -> str:
        """Upstream asset key."""
        ...

    @property
    def partition(self) -> str:
        """Its partition key."""
        ...

    @property
    def content_digest(self) -> str:
        """Digest of the content."""
        ...


class RecordLike(Protocol):
    """What the manifest says of a stored partition."""

    @property
    def content_digest(self) -> str:
        """Digest of the content."""
        ...

    @property
    def code_version(self) -> str:
        """Digest of the code that wrote it."""
        ...

    @property
    def declaration_digest(self) -> str:
        """Digest of the declared values it depends on."""
        ...

    @property
    def verdict(self) -> str:
        """`passed` or `failed`."""
        ...

    @property
    def reasons(self) -> Sequence[str]:
        """Why it failed, a sentence each."""
        ...

    @property
    def known_until(self) -> date | None:
        """Last session whose data could be in it, where time extends it."""
        ...

    @property
    def inputs(self) -> Sequence[InputLike]:
        """What was read."""
        ...


Records = Callable[[str], Mapping[str, RecordLike]]


class State(StrEnum):
    """How a partition stands against its declaration, code and inputs.

    What is blocked is missing or stale, and cannot be made while something it needs is refused.
    """

    FRESH = "fresh"
    MISSING = "missing"
    STALE = "stale"
    REFUSED = "refused"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition and how it stands.

    Attributes
    ----------
    reason : str
        Why it is not fresh, in a few words.
    blocked_by : (str, str), optional
        Asset and partition that was refused, of what is blocked.
    """

    asset: str
    partition: str
    state: State
    reason: str = ""
    blocked_by: tuple[str, str] | None = None

    @property
    def is_barred(self) -> bool:
        """Whether it was refused or is blocked."""
        return self.state in (State.REFUSED, State.BLOCKED)


class Survey:
    """Compares stored partitions with declaration, code and inputs; keeps what it has read."""

    def __init__(self, graphs: Sequence[AssetGraph], records: Records, now: datetime) -> None:
        self._graphs = graphs
        self._records = records
        self._now = now
        self._places = {node.key: (graph, node) for graph in graphs for node in graph.nodes}
        self._cache: dict[str, Mapping[str, RecordLike]] = {}
        self._states: dict[tuple[str, str], PartitionState] = {}

    def stored(self, asset: str) -> Mapping[str, RecordLike]:
        """Return what the manifest says of an asset's partitions, asked for once."""
        if asset not in self._cache:
            self._cache[asset] = self._records(asset)
        return self._cache[asset]

    def state(self, graph: AssetGraph, node: AssetNode, key: str) -> PartitionState:
        """Return how one partition stands."""
        place = (node.key, key)
        if place not in self._states:
            found = self._state(graph, node, key)
            if found.state in (State.MISSING, State.STALE):
                root = self._blocked_by(node, key)
                found = found if root is None else _blocked(found, root)
            self._states[place] = found
        return self._states[place]

    def _state(self, graph: AssetGraph, node: AssetNode, key: str) -> PartitionState:
        record = self.stored(node.key).get(key)
        if record is None:
            return PartitionState(node.key, key, State.MISSING, "never materialized")
        reason = "" if node.is_record else self._why_stale(graph, node, key, record)
        if reason:
            return PartitionState(node.key, key, State.STALE, reason)
        if record.verdict == "failed":
            return PartitionState(node.key, key, State.REFUSED, _first_of(record.reasons))
        return PartitionState(node.key, key, State.FRESH)

    def _blocked_by(self, node: AssetNode, key: str) -> tuple[str, str] | None:
        """Return which refused partition a reader cannot do without, if there is one.

        What reads all partitions of an asset does without some, but not without every one.
        """
        upstream = upstream_keys(self._graphs, node, key, self._now)
        for edge in node.reads:
            if edge.is_optional and not edge.covers_folds:
                continue
            found = [self.state(*self._places[edge.asset], own) for own in upstream[edge.asset]]
            barred = [own for own in found if own.is_barred]
            if barred and not (edge.reads_all and len(barred) < len(found)):
                return barred[0].blocked_by or (barred[0].asset, barred[0].partition)
        return None

    def _why_stale(self, graph: AssetGraph, node: AssetNode, key: str, record: RecordLike) -> str:
        if record.declaration_digest != node.declaration_digest:
            return "the declaration changed, or launchpad sizes differed from it"
        if record.code_version != node.code_version:
            return "the code changed"
        for item in record.inputs:
            newest = self.stored(item.asset).get(item.partition)
            if newest is None or newest.content_digest != item.content_digest:
                return f"{item.asset} {item.partition} changed".replace("  ", " ")
        for asset, keys in self._appeared(node, record).items():
            return f"{asset} has {keys} new partitions"
        untold = self._untold(node, record)
        if untold is not None:
            return f"{untold.asset} {untold.partition} is {untold.state} since"
        if node.axis is Axis.MONTH and self._is_behind(graph.periods, key, record):
            return "sessions have closed since"
        return ""

    def _appeared(self, node: AssetNode, record: RecordLike) -> dict[str, int]:
        """Count stored upstream partitions that a reader of everything has not read.

        One that was refused is done without where it is optional, and so is one of a fold of which
        something else is lacking that is not. One that is blocked is done without everywhere, and
        so is one of a declaration whose folds were others.
        """
        read = {(item.asset, item.partition) for item in record.inputs}
        found: dict[str, int] = {}
        for edge in node.reads:
            if edge.reads_all or edge.covers_folds:
                stored = self.stored(edge.asset)
                new = [
                    key
                    for key in upstream_keys(self._graphs, node, "", self._now)[edge.asset]
                    if key in stored
                    and (edge.asset, key) not in read
                    and not (edge.is_optional and stored[key].verdict == "failed")
                    and not (edge.is_optional and self._lacks_what_is_needed(node, edge, key))
                    and self.state(*self._places[edge.asset], key).state is not State.BLOCKED
                ]
                if new:
                    found[edge.asset] = len(new)
        return found

    def _lacks_what_is_needed(self, node: AssetNode, optional: Reads, key: str) -> bool:
        """Say whether something that is not optional is lacking of a key."""
        axis = self._places[optional.asset][1].axis
        needed = [
            place
            for edge in node.reads
            if edge.reads_all and not edge.is_optional
            for place in [self._places[edge.asset]]
            if place[1].axis is axis
        ]
        return any(
            key not in self.stored(own.key) or self.state(graph, own, key).is_barred
            for graph, own in needed
        )

    def _untold(self, node: AssetNode, record: RecordLike) -> PartitionState | None:
        """Return what is blocked since a reader of everything was made, and not named in it."""
        told = {(item.asset, item.partition) for item in record.inputs}
        for edge in node.reads:
            if edge.reads_all and not edge.is_optional:
                for key in upstream_keys(self._graphs, node, "", self._now)[edge.asset]:
                    own = self.state(*self._places[edge.asset], key)
                    if own.state is State.BLOCKED and own.blocked_by not in told:
                        return own
        return None

    def _is_behind(self, periods: Periods, key: str, record: RecordLike) -> bool:
        market = periods.market
        if record.known_until is None:
            return False
        closed = periods.calendar.last_completed_session(self._now, market.publication_lag_minutes)
        newest = min(closed, periods.span(Axis.MONTH, key).last)
        if market.end is not None:
            newest = min(newest, market.end)
        return record.known_until < newest and bool(
            [
                d
                for d in periods.calendar.sessions(record.known_until, newest)
                if d > record.known_until
            ]
        )


def _first_of(reasons: Sequence[str]) -> str:
    if not reasons:
        return "its checks failed"
    further = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0]}{further}"


def _blocked(found: PartitionState, root: tuple[str, str]) -> PartitionState:
    reason = f"it needs {' '.join(root)}".rstrip() + ", which was refused"
    return replace(found, state=State.BLOCKED, reason=reason, blocked_by=root)
