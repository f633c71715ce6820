"""Whole sessions of a paper account under faults, replayable from one seed.

Clock, network, disk, crashes and randomness come from the seed; the broker's book is apart from
all of them and is read directly at the end. A session is run again after each crash or error, as
the schedule and a person would, until it is settled, or halted where it has to be.
"""

from collections import Counter
from dataclasses import dataclass, field

from trading_assets.errors import DataError
from trading_assets.paper.audit_log import AuditWriteError
from trading_assets.paper.gateways import BrokerError
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.simulation.market import Market
from trading_assets_tests.faults.account_checks import Findings, examine
from trading_assets_tests.faults.fault_world import World
from trading_assets_tests.faults.simulated_disk import SimulatedCrash
from trading_assets_tests.paper.fixtures import cut, session_at

# After so many attempts the faults end; what then does not settle never will.
CALM_AFTER = 12
MOST_ATTEMPTS = 20


@dataclass
class Tally:
    """What happened in fault sessions, and what was wrong."""

    sessions: int = 0
    attempts: int = 0
    crashes: int = 0
    halted: int = 0
    orders: int = 0
    fills: int = 0
    duplicate_orders: int = 0
    lost_fills: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        for name in (
            *("sessions", "attempts", "crashes", "halted"),
            *("orders", "fills", "duplicate_orders", "lost_fills"),
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults.update(other.faults)
        self.wrong += other.wrong


def run_world(seed: int, n_sessions: int = 4, crash_at: int | None = None) -> Tally:
    """Trade an account through sessions under the faults of a seed, and check all that it left.

    Parameters
    ----------
    seed : int
        Seed of everything.
    n_sessions : int
        Sessions to trade; an account that was killed trades one more after it was re-armed.
    crash_at : int, optional
        The one moment at which the process dies, while hardly anything else fails.
    """
    world = World.draw(seed, n_sessions, crash_at)
    tally = Tally()
    if not all(trade(world, row, tally) for row in world.rows):
        return tally
    problems = _sent_too_late(world)
    if world.thrower.sent_before is not None:
        world.calm()
        world.account_folder().switch.rearm("A. Person", "the drill is over")
        if not trade(world, world.rows.stop, tally):
            return tally
    tally.crashes += world.crash.crashes
    tally.faults.update(world.network.faults)
    tally.faults.update(world.faults.done)
    tally.faults.update(["kill switch"] * (world.thrower.sent_before is not None))
    tally.faults.update(["rename"] * bool(world.renamed_row))
    found = examine(world.left())
    found.wrong += problems
    _count(tally, found, seed)
    return tally


def trade(world: World, row: int, tally: Tally) -> bool:
    """Run a session before its bar is there, and after; return whether all went as it has to."""
    tally.sessions += 1
    market = world.market_at(row)
    if not world.faults.is_within:
        world.happen(row)
    for is_known in (False, True):
        known = market if is_known else cut(market, row - 1)
        problem = _run_until_done(world, row, known, tally, is_known=is_known)
        if problem:
            tally.wrong.append(f"seed {world.seed}, {session_at(world.market, row)}: {problem}")
            return False
    return True


def _run_until_done(world: World, row: int, known: Market, tally: Tally, *, is_known: bool) -> str:
    """Return why a session could not be brought to its end, or an empty string."""
    stored = world.record(session_at(world.market, row))
    if is_known and stored is not None and stored.status == "halted":
        return ""
    world.broker.market = known
    waits = ""
    for attempt in range(MOST_ATTEMPTS):
        if attempt == CALM_AFTER:
            world.calm()
        if attempt and world.faults.is_within and not is_known:
            world.happen(row)
        tally.attempts += 1
        waits, problem = _attempt(world, row, known, tally, is_known=is_known)
        if problem or not waits:
            return problem
    return f"not done after {MOST_ATTEMPTS} attempts: {waits}"


def _attempt(
    world: World, row: int, known: Market, tally: Tally, *, is_known: bool
) -> tuple[str, str]:
    """Run a session once; return what it waits for, and what must not be."""
    if is_known:
        world.change_executions(session_at(world.market, row))
    try:
        record = run_session(world.inputs(row, known))
        problem = _unexpected(world, record, row, is_known=is_known)
        if problem or (is_known and record.status == "awaiting_fill"):
            return "a fill", problem
        world.store(record)
    except SimulatedCrash as crash:
        return f"crash {crash}", ""
    except (BrokerError, OSError) as failure:
        return repr(failure), ""
    except DataError as failure:
        is_unwritten = isinstance(failure, AuditWriteError)
        return repr(failure), "" if is_unwritten else repr(failure)
    tally.halted += record.status == "halted"
    return "", ""


def _unexpected(world: World, record: SessionRecord, row: int, *, is_known: bool) -> str:
    """Return what is wrong with how a session ended, or an empty string."""
    if not world.is_to_halt() and (record.status == "halted" or record.differences):
        return f"{record.status}: {record.summary.get('reason')} {record.differences}"
    strange = world.strange_row
    has_to_halt = strange is not None and row >= strange + world.faults.is_within
    if has_to_halt and not is_known and record.status != "halted":
        return f"{record.status} after: {world.faults.strange}"
    return "" if record.status != "missed" else f"missed: {record.summary.get('reason')}"


def _sent_too_late(world: World) -> list[str]:
    """Return which orders left although something had to keep them."""
    problems: list[str] = []
    if world.network.hasty:
        problems.append(f"sent before this run had reconciled: {world.network.hasty}")
    for what, before in (
        ("the kill switch was thrown", world.thrower.sent_before),
        (world.faults.strange, world.strange_sends),
    ):
        late = [] if before is None else world.network.sends[before:]
        if late:
            problems.append(f"{late} left after: {what}")
    return problems


def _count(tally: Tally, found: Findings, seed: int) -> None:
    tally.orders += found.orders
    tally.fills += found.fills
    tally.duplicate_orders += found.duplicate_orders
    tally.lost_fills += found.lost_fills
    tally.wrong += [f"seed {seed}: {text}" for text in found.wrong]


def run_worlds(seeds: range, n_sessions: int = 4) -> Tally:
    """Run worlds one after another."""
    tally = Tally()
    for seed in seeds:
        tally.add(run_world(seed, n_sessions))
    return tally
