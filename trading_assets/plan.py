"""What is missing or stale, and which runs would mend it.

One function answers for the driver, the schedules and the sensors. It reads the manifest only, so
the answer is the same whoever asks, and nothing is launched to find it out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from trading_assets.asset_nodes import AssetGraph, AssetNode
from trading_assets.errors import UserError, shown
from trading_assets.periods import Axis, Span
from trading_assets.survey import PartitionState, Records, State, Survey


@dataclass(frozen=True, slots=True)
class RunStep:
    """One run to launch: assets and the partitions they run for, first to last.

    Attributes
    ----------
    title : str
        What the run does, for a person.
    assets : tuple of str
        Asset keys.
    axis : Axis
        What the partition keys stand for.
    partitions : tuple of str
        Consecutive keys; empty for unpartitioned assets.
    """

    title: str
    assets: tuple[str, ...]
    axis: Axis
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a user asks to be fresh.

    Attributes
    ----------
    first, last : date or None
        Days whose partitions are meant; None leaves an end open.
    only : frozenset of str
        Asset keys; empty means all.
    exactly : frozenset of (str, str), optional
        Asset and partition of all that is meant, without what reads it; `only` names their assets.
    """

    first: date | None = None
    last: date | None = None
    only: frozenset[str] = frozenset()
    exactly: frozenset[tuple[str, str]] | None = None

    @classmethod
    def of_partitions(cls, partitions: Iterable[tuple[str, str]]) -> "Target":
        """Return the target of these partitions of assets and no others."""
        meant = frozenset(partitions)
        return cls(only=frozenset(asset for asset, _ in meant), exactly=meant)


@dataclass(frozen=True, slots=True)
class Plan:
    """States of all targeted partitions and the runs that would make them fresh, in waves.

    The runs of a wave are independent of each other; a wave needs the waves before it.
    """

    states: tuple[PartitionState, ...]
    waves: tuple[tuple[RunStep, ...], ...]

    def of(self, *states: State) -> list[PartitionState]:
        """Return the partitions that stand so, upstream first."""
        return [own for own in self.states if own.state in states]

    @property
    def refused(self) -> list[PartitionState]:
        """Partitions whose checks failed."""
        return self.of(State.REFUSED)

    @property
    def blocked(self) -> list[PartitionState]:
        """Partitions that cannot be made while something they need is refused."""
        return self.of(State.BLOCKED)

    @property
    def barred(self) -> list[PartitionState]:
        """What is refused, and then what that blocks."""
        return [*self.refused, *self.blocked]

    @property
    def steps(self) -> list[RunStep]:
        """All runs, in an order that respects the waves."""
        return [step for wave in self.waves for step in wave]


def plan(
    graphs: Sequence[AssetGraph], records: Records, now: datetime, target: Target | None = None
) -> Plan:
    """Say what is missing or stale, and which runs would mend it.

    Parameters
    ----------
    graphs : sequence of AssetGraph
        Data set first, then the strategy that reads it.
    records : callable
        Asset key to its stored partitions, as the manifest has them.
    now : datetime
        Aware moment that decides which partitions exist.
    target : Target, optional
        Narrows the plan; by default all months, all closed folds, the unpartitioned assets and
        the newest session.

    Raises
    ------
    UserError
        If the target names an unknown asset or holds no partition.
    """
    target = target or Target()
    _refuse_strangers(graphs, target)
    survey = Survey(graphs, records, now)
    states: list[PartitionState] = []
    for graph in graphs:
        for node in graph.nodes:
            if target.only and node.key not in target.only:
                continue
            wanted = _wanted(graph, node, now, target)
            states.extend(survey.state(graph, node, key) for key in wanted)
    is_partitioned = any(
        node.axis is not Axis.NONE
        for graph in graphs
        for node in graph.nodes
        if not target.only or node.key in target.only
    )
    if is_partitioned and not any(state.partition for state in states):
        msg = (
            f"no partition lies between {target.first or 'the start'} and {target.last or 'now'};"
            f" {graphs[0].owner} has months {_bounds(graphs[0], now)}"
        )
        raise UserError(msg)
    due = {(s.asset, s.partition) for s in states if s.state in (State.MISSING, State.STALE)}
    blocked = {(s.asset, s.partition) for s in states if s.state is State.BLOCKED}
    return Plan(tuple(states), _waves(graphs, due, blocked, now, target))


def _wanted(graph: AssetGraph, node: AssetNode, now: datetime, target: Target) -> list[str]:
    if target.exactly is not None:
        return sorted(key for asset, key in target.exactly if asset == node.key)
    if node.axis is Axis.NONE:
        return [""]
    keys = graph.periods.keys(node.axis, now)
    span = Span(target.first or date.min, target.last or date.max)
    within = [key for key in keys if graph.periods.span(node.axis, key).meets(span)]
    if node.axis is Axis.SESSION and not (target.first is not None and target.only):
        # Sessions are records, not a history to be completed: older ones have to be asked for.
        return within[-1:]
    return within


def _refuse_strangers(graphs: Sequence[AssetGraph], target: Target) -> None:
    known = {node.key for graph in graphs for node in graph.nodes}
    for key in sorted(target.only - known):
        names = ", ".join(sorted(known))
        msg = f"asset {shown(key)} is not part of {graphs[-1].owner}; expected one of {names}"
        raise UserError(msg)


def _bounds(graph: AssetGraph, now: datetime) -> str:
    keys = graph.periods.keys(Axis.MONTH, now)
    return f"{keys[0]} to {keys[-1]}" if keys else "none yet"


Due = set[tuple[str, str]]
Pairs = Sequence[tuple[AssetGraph, AssetNode]]


def _waves(
    graphs: Sequence[AssetGraph], due: Due, blocked: Due, now: datetime, target: Target
) -> tuple[tuple[RunStep, ...], ...]:
    pairs = [(g, n) for g in graphs for n in g.nodes if not target.only or n.key in target.only]
    bars = [(g, n) for g, n in pairs if n.stage == "bars"]
    features = [(g, n) for g, n in pairs if n.stage == "features"]
    folds = [(g, n) for g, n in pairs if n.axis is Axis.FOLD]
    sessions = [(g, n) for g, n in pairs if n.axis is Axis.SESSION]
    single = [(g, n) for g, n in pairs if n.axis is Axis.NONE and n.stage != "bars"]
    ladders = [(g, n) for g, n in single if not n.reads]
    validated = [(g, n) for g, n in single if any(edge.covers_folds for edge in n.reads)]
    reports = [(g, n) for g, n in single if n.reads and (g, n) not in validated]
    found = due.union(*(_readers_of(g, due, blocked) for g in (bars, features, folds, sessions)))
    due = found if target.exactly is None else found & target.exactly
    traded = _keyed_steps("trade session", sessions, due)
    waves = (
        _month_steps("fetch and validate bars", bars, due, now),
        _month_steps("compute features", features, due, now),
        (
            *_keyed_steps("train and backtest fold", folds, due),
            *_single_steps("climb the oracle ladder", ladders, due),
            *_single_steps("cross-validate", validated, due),
        ),
        # Sessions one by one: each starts from the account that the one before it left.
        (*_single_steps("write the walk-forward report", reports, due), *traded[:1]),
        *((step,) for step in traded[1:]),
    )
    return tuple(wave for wave in waves if wave)


def _month_steps(title: str, pairs: Pairs, due: Due, now: datetime) -> tuple[RunStep, ...]:
    months = [(g, n) for g, n in pairs if n.axis is Axis.MONTH]
    single = tuple(n.key for _, n in pairs if n.axis is Axis.NONE)
    keys_due = {key for asset, key in due if any(n.key == asset for _, n in months)}
    if not keys_due:
        is_due = any((key, "") in due for key in single)
        return (RunStep(title, single, Axis.NONE),) if is_due else ()
    steps: list[RunStep] = []
    for keys in _consecutive(months[0][0].periods.keys(Axis.MONTH, now), keys_due):
        assets = tuple(n.key for _, n in months if any((n.key, key) in due for key in keys))
        steps.append(RunStep(title, (*assets, *single), Axis.MONTH, keys))
    return tuple(steps)


def _keyed_steps(title: str, pairs: Pairs, due: Due) -> tuple[RunStep, ...]:
    order = [node.key for _, node in pairs]
    keys = sorted({key for asset, key in due if asset in order})
    return tuple(
        RunStep(
            f"{title} {key}",
            tuple(asset for asset in order if (asset, key) in due),
            pairs[0][1].axis,
            (key,),
        )
        for key in keys
    )


def _single_steps(title: str, pairs: Pairs, due: Due) -> tuple[RunStep, ...]:
    return tuple(
        RunStep(title, (node.key,), Axis.NONE) for _, node in pairs if (node.key, "") in due
    )


def _readers_of(pairs: Pairs, due: Due, blocked: Due) -> Due:
    """Return what reads a due partition of the same key, so that one run brings both up to date.

    Records are left out: a session that has been recorded is not decided again. So is what needs a
    blocked partition, which no run of the plan makes.
    """
    keys = {node.key for _, node in pairs}
    # Only what is due among these assets counts: a month that is due makes no fold of its name.
    reached: Due = {(asset, key) for asset, key in due if asset in keys}
    out_of_reach = {(asset, key) for asset, key in blocked if asset in keys}
    for _, node in pairs:
        upstream = {edge.asset for edge in node.reads}
        needed = {edge.asset for edge in node.reads if not edge.is_optional}
        out_of_reach |= {(node.key, key) for asset, key in set(out_of_reach) if asset in needed}
        if not node.is_record:
            reading = {(node.key, key) for asset, key in set(reached) if key and asset in upstream}
            reached |= reading - out_of_reach
    return reached


def _consecutive(everything: Sequence[str], wanted: set[str]) -> list[tuple[str, ...]]:
    runs: list[list[str]] = []
    is_open = False
    for key in everything:
        if key not in wanted:
            is_open = False
            continue
        if is_open:
            runs[-1].append(key)
        else:
            runs.append([key])
        is_open = True
    return [tuple(run) for run in runs]
