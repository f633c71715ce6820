"""Brings a strategy up to date: plans, launches real runs wave by wave, shows what happens."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from trading_assets.asset_nodes import AssetGraph
from trading_assets.declarations import parse_assignments, write_variant
from trading_assets.declared import Name
from trading_assets.errors import DeclarationError, UserError, shown
from trading_assets.graph import full_graph
from trading_assets.lake.store import Lake
from trading_assets.pipeline.events import report_lost_materializations
from trading_assets.pipeline.instance import (
    instance_ref,
    open_instance,
    set_pool_limits,
    sweep_dead_runs,
)
from trading_assets.pipeline.settings import Settings, open_lake, read_settings
from trading_assets.plan import (
    Plan,
    RunStep,
    Target,
    plan,
)
from trading_assets.survey import PartitionState, State

# A wave may make later partitions stale; a plan that does not settle by then is a fault.
MAX_WAVES = 24
SHOWN_STEPS = 20
# Whose reason a plan shows of an asset, before that of others.
TOLD_FIRST = (State.REFUSED, State.BLOCKED, State.STALE)


def vary_strategy(strategy: str, assignments: Sequence[str], name: str | None) -> str:
    """Write a varied declaration and return its name, or return `strategy` if nothing varies.

    Raises
    ------
    DeclarationError
        If only one of `--set` and `--as` is given, the profile is production, or the varied
        declaration does not follow its model.
    """
    if not assignments and name is None:
        return strategy
    if not assignments or name is None:
        msg = "--set and --as belong together: a varied declaration is a strategy of its own"
        raise DeclarationError(msg)
    settings = read_settings()
    if settings.profile == "production":
        msg = "--set was given in the production profile; declare the strategy in a defs.yaml"
        raise DeclarationError(msg)
    _require_name(name)
    declarations = settings.declarations()
    declarations.strategy(strategy)
    target = settings.variants / name / "defs.yaml"
    taken = declarations.files.get(name)
    if taken is not None and taken != target:
        msg = f"--as was {name!r}, which {taken} declares; choose another name"
        raise DeclarationError(msg)
    write_variant(declarations.files[strategy], parse_assignments(assignments), target)
    return name


def run_strategy(strategy: str, target: Target, console: Console | None = None) -> bool:
    """Launch what is missing or stale until nothing is; return whether all of it succeeded.

    What a refused partition blocks is not launched; the rest goes on and is reported without it.

    Parameters
    ----------
    strategy : str
        Declared strategy.
    target : Target
        What is asked for.
    console : Console, optional
        Where progress is shown.

    Raises
    ------
    UserError
        If the declaration or what is asked for is mistaken, also where a run found that out.
    """
    console = console or Console(stderr=False)
    settings = read_settings()
    graphs = full_graph(settings.declarations(), strategy)
    target = _resolve(target, graphs)
    started = monotonic()
    lake = open_lake(settings)
    with open_instance(settings.data) as instance:
        set_pool_limits(instance)
        swept = sweep_dead_runs(instance)
        lost = report_lost_materializations(instance, lake, graphs)
    if swept:
        console.print(f"{len(swept)} earlier runs had died and are marked failed")
    if lost:
        console.print(f"{len(lost)} partitions were stored but never reported; the UI has them now")
    launched, has_failed = 0, False
    limit = len(_planned(graphs, lake, target, settings.now()).waves) + MAX_WAVES
    for _ in range(limit):
        planned = _planned(graphs, lake, target, settings.now())
        if not planned.waves:
            _close(console, strategy, settings, lake, planned, launched, monotonic() - started)
            return not planned.barred and not has_failed
        wave = planned.waves[0]
        if not _launch_wave(console, settings, strategy, wave):
            has_failed = True
            again = _planned(graphs, lake, target, settings.now())
            # A run that failed because something was refused has left nothing that could be made.
            if _is_due(again, wave):
                _print_barred(console, again)
                return False
        launched += len(wave)
    console.print(f"[red]{strategy} is still not up to date after {limit} waves of runs[/red]")
    return False


def make_partitions(
    strategy: str, partitions: Iterable[tuple[str, str]], console: Console | None = None
) -> bool:
    """Launch runs for these partitions alone until each is stored; return whether each is.

    Parameters
    ----------
    strategy : str
        Declared strategy.
    partitions : iterable of (str, str)
        Asset and partition key; what is refused once more counts as stored.
    console : Console, optional
        Where progress is shown.
    """
    console = console or Console(stderr=False)
    settings = read_settings()
    graphs = full_graph(settings.declarations(), strategy)
    lake, target = open_lake(settings), Target.of_partitions(partitions)
    with open_instance(settings.data) as instance:
        set_pool_limits(instance)
    before: list[PartitionState] = []
    while True:
        planned = _planned(graphs, lake, target, settings.now())
        due = planned.of(State.MISSING, State.STALE, State.BLOCKED)
        # A run that failed and left as much to do would fail again.
        if not planned.waves or due == before:
            return not due
        _launch_wave(console, settings, strategy, planned.waves[0])
        before = due


def print_plan(strategy: str, target: Target, console: Console | None = None) -> None:
    """Show what is missing or stale and the runs that would mend it; launch nothing."""
    console = console or Console()
    settings = read_settings()
    graphs = full_graph(settings.declarations(), strategy)
    lake = open_lake(settings)
    planned = _planned(graphs, lake, _resolve(target, graphs), settings.now())
    table = Table("asset", *[state.value for state in State], "first reason")
    for node in [node for graph in graphs for node in graph.nodes]:
        own = [state for state in planned.states if state.asset == node.key]
        counts = Counter(state.state for state in own)
        told = [s for state in TOLD_FIRST for s in own if s.state is state]
        reason = told[0].reason if told else ""
        table.add_row(node.key, *[str(counts.get(state, 0)) for state in State], reason)
    console.print(table)
    for step in planned.steps[:SHOWN_STEPS]:
        console.print(f"would run: {step.title} ({_range(step)}): {', '.join(step.assets)}")
    if len(planned.steps) > SHOWN_STEPS:
        console.print(f"and {len(planned.steps) - SHOWN_STEPS} more runs")


def _launch_wave(
    console: Console, settings: Settings, strategy: str, wave: Sequence[RunStep]
) -> bool:
    from trading_assets.pipeline.runs import launch

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    # In a file or a pipe, live progress would only leave empty lines.
    is_shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not is_shown) as bars:
        tasks: dict[RunStep, TaskID] = {}
        for step in wave:
            tasks[step] = bars.add_task(f"{step.title} ({_range(step)}): waiting")

        def show(step: RunStep, run_id: str, doing: str) -> None:
            text = f"{step.title} ({_range(step)}) [dim]{run_id[:8]}[/dim]: {doing}"
            bars.update(tasks[step], description=text)

        tags = {"strategy": strategy, "launched_by": "trading-assets run"}
        log = settings.data / "dagster" / "driver.log"
        outcomes = launch(wave, instance_ref(settings.data), tags, show, log)
    for outcome in outcomes:
        mark = "[red]failed[/red]" if outcome.error else "[green]done[/green]"
        what = f"{outcome.step.title} ({_range(outcome.step)}) {outcome.run_id[:8]}"
        console.print(f"{mark}  {what}", soft_wrap=True)
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if errors and all(error.is_mistake for error in errors):
        raise UserError("\n".join(dict.fromkeys(error.sentence for error in errors)))
    for error in errors:
        console.print(f"      {error.sentence}", markup=False, soft_wrap=True)
    return not errors


def _planned(graphs: Sequence[AssetGraph], lake: Lake, target: Target, now: datetime) -> Plan:
    return plan(graphs, lake.records, now, target)


def _is_due(planned: Plan, wave: Sequence[RunStep]) -> bool:
    made = {
        (asset, key) for step in wave for asset in step.assets for key in (*step.partitions, "")
    }
    due = planned.of(State.MISSING, State.STALE)
    return any((own.asset, own.partition) in made for own in due)


def _resolve(target: Target, graphs: Sequence[AssetGraph]) -> Target:
    """Complete short asset names, such as `features`, to full keys."""
    keys = {node.key for graph in graphs for node in graph.nodes}
    short = {key.split("/", 1)[1]: key for key in sorted(keys)}
    only = frozenset(short.get(name, name) for name in target.only)
    return Target(target.first, target.last, only)


def _close(
    console: Console,
    strategy: str,
    settings: Settings,
    lake: Lake,
    planned: Plan,
    launched: int,
    seconds: float,
) -> None:
    from trading_assets.pipeline.verdict import print_verdict

    _print_barred(console, planned)
    if launched == 0:
        fresh = len(planned.of(State.FRESH))
        console.print(f"{strategy}: nothing to do, {fresh} partitions are fresh")
    else:
        console.print(f"{strategy}: {launched} runs in {seconds:.0f} s")
    print_verdict(console, strategy, lake, settings.data)


def _print_barred(console: Console, planned: Plan) -> None:
    for own in planned.barred:
        where = f"{own.asset} {own.partition}".rstrip()
        said = f"[red]{own.state}[/red] {where}: {escape(own.reason)}"
        console.print(said, soft_wrap=True, highlight=False)


def _range(step: RunStep) -> str:
    if not step.partitions:
        return "unpartitioned"
    first, last = step.partitions[0], step.partitions[-1]
    return first if first == last else f"{first} to {last}, {len(step.partitions)} partitions"


def _require_name(name: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        msg = f"--as was {shown(name)}; expected lower-case letters, digits and _, at most 40"
        raise DeclarationError(msg) from None
