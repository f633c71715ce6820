"""Real SIGKILLs of paper sessions and their broker, at every moment and at random ones.

One process that has imported everything forks a child a run, so that a start costs little. It uses
no data frame itself: a fork of a process that has their threads would hang.
"""

import importlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from trading_assets.errors import UserError
from trading_assets.paper.deciding import book_of_account
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.orders import Order
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.simulation.core import decide_quantities, held_weights
from trading_assets_tests.faults.account_checks import examine
from trading_assets_tests.faults.forked import BROKEN, BrokerProcess, fork, kill, wait
from trading_assets_tests.faults.killable_session import FIRST_ROW, KillableAccount, KillPlan
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    make_market,
    make_strategy,
    session_at,
)

_OK, _AGAIN = 0, 3
_MOST_RUNS = 40
# After so many runs of one half of a session nothing is killed any more.
_CALM_AFTER = 6
_MOST_MOMENTS = 1_000
_LATE_IMPORTS = (
    "trading_assets.paper.alpaca_gateway",
    "trading_assets.paper.simulated_broker.gateway",
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
)


@dataclass
class Killed:
    """How many processes were killed, and what was wrong afterwards."""

    sessions: int = 0
    broker: int = 0
    tally: Tally = field(default_factory=Tally)

    def add(self, other: "Killed") -> None:
        """Count another one in."""
        self.sessions += other.sessions
        self.broker += other.broker
        self.tally.merge(other.tally)

    @property
    def kills(self) -> int:
        """All of them."""
        return self.sessions + self.broker


def kill_at_random(path: Path, seed: int, n_sessions: int, *, is_served: bool) -> Killed:
    """Trade sessions while their processes, and the broker's, are killed at random moments."""
    rng = random.Random(seed)
    seconds = [0.05]

    def choose(run: int) -> tuple[int, str, float]:
        if run >= _CALM_AFTER:
            return 0, "", 0.0
        kind = rng.choice(["moment", "moment", "time", "broker" if is_served else "time"])
        return (rng.randint(1, 60) if kind == "moment" else 0), kind, rng.random() * seconds[-1]

    return _trade(path, seed, n_sessions, choose, seconds, is_served=is_served)


def kill_at_every_moment(path: Path, seed: int, *, is_served: bool, step: int = 1) -> Killed:
    """Kill a session, in a new account each time, at its first moment, its second, and so on.

    The run that decides is killed there, and after it the run that settles.
    """
    killed = Killed()
    for at in range(1, _MOST_MOMENTS, step):

        def choose(run: int, at: int = at) -> tuple[int, str, float]:
            return (at, "moment", 0.0) if run == 0 else (0, "", 0.0)

        one = _trade(path / str(at), seed, 1, choose, [0.0], is_served=is_served)
        killed.add(one)
        if not one.kills:
            break
    return killed


Choice = Callable[[int], tuple[int, str, float]]


def _trade(
    path: Path,
    seed: int,
    n_sessions: int,
    choose: Choice,
    seconds: list[float],
    *,
    is_served: bool,
) -> Killed:
    broker = BrokerProcess.start(path, seed) if is_served else None
    account = KillableAccount(path, seed) if broker is None else broker.account
    killed = Killed()
    problem = ""
    try:
        for row in range(FIRST_ROW, FIRST_ROW + n_sessions):
            for is_known in (False, True):
                problem = problem or _run_until_done(
                    account, broker, row, choose, seconds, killed, is_known=is_known
                )
    finally:
        if broker is not None:
            broker.kill()
    left = account.left()
    problems = [problem] if problem else examine(left).wrong
    left.book.close()
    killed.tally.add(f"seed {seed} at {path.name}", problems)
    killed.tally.tried += killed.kills - 1
    return killed


def _run_until_done(
    account: KillableAccount,
    broker: BrokerProcess | None,
    row: int,
    choose: Choice,
    seconds: list[float],
    killed: Killed,
    *,
    is_known: bool,
) -> str:
    now = account.moment(row, is_known=is_known)
    if broker is not None:
        broker.set_clock(now)
    for run in range(_MOST_RUNS):
        at, kind, delay = choose(run)
        began = time.monotonic()
        pid = fork(lambda at=at: _run(account, row, KillPlan(at), is_known=is_known))
        if kind in ("time", "broker"):
            time.sleep(delay)
        if kind == "time":
            kill(pid)
        if kind == "broker" and broker is not None:
            broker.kill()
            killed.broker += 1
        code = wait(pid)
        if kind == "broker" and broker is not None:
            broker.serve(now)
        if code == _OK:
            seconds.append(time.monotonic() - began)
            return ""
        killed.sessions += code == -signal.SIGKILL
        if code not in (-signal.SIGKILL, _AGAIN):
            return f"row {row}: a run ended with {code}: {_last_words(account.path)}"
    return f"row {row}: not done after {_MOST_RUNS} runs: {_last_words(account.path)}"


def _run(account: KillableAccount, row: int, plan: KillPlan, *, is_known: bool) -> None:
    wanted = "settled" if is_known else "awaiting_fill"
    try:
        status = account.run(row, plan, is_known=is_known)
        code = _OK if status in (wanted, "settled") else BROKEN
        words = f"the session is {status}"
        if status == "awaiting_fill" and is_known:
            code = _AGAIN
    except UserError as error:
        code, words = _AGAIN, repr(error)
    (account.path / "last_words.txt").write_text(words)
    os._exit(code)


def _last_words(path: Path) -> str:
    file = path / "last_words.txt"
    return file.read_text()[:500] if file.exists() else "it said nothing"


def sweep_session_kills(
    root: Path, worlds: range, n_sessions: int = 3, step: int = 1, processes: int = 2
) -> Killed:
    """Kill sessions at every moment of one account each way, and at random ones of many accounts.

    Parameters
    ----------
    root : Path
        Folder for their accounts.
    worlds : range
        Seeds of accounts whose processes are killed at random; odd ones have a broker of its own.
    n_sessions : int
        Sessions of each of them.
    step : int
        Every how many moments a session is killed; 0 for none.
    processes : int
        Parents that fork at once.
    """
    jobs: list[tuple[str, Path, int, bool, int]] = [
        ("random", root / f"world-{seed}", seed, seed % 2 == 1, n_sessions) for seed in worlds
    ]
    if step:
        jobs[:0] = [
            ("every", root / f"every-{served}", 1, served, step) for served in (True, False)
        ]
    killed = Killed()
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, warm_up) as pool:
        for one in pool.imap_unordered(_job, jobs):
            killed.add(one)
    return killed


def kill_ledger(killed: Killed) -> str:
    """Return a Markdown table of the processes that were killed."""
    rows = {
        "sessions killed": killed.sessions,
        "brokers killed": killed.broker,
        "accounts that went wrong": len(killed.tally.harmed),
    }
    lines = [f"| {name} | {count:,} |" for name, count in rows.items()]
    return "\n".join(["| kill ledger | processes |", "|---|---:|", *lines])


def warm_up() -> None:
    """Import and compile what sessions and server would do late, so that no child has to."""
    for name in _LATE_IMPORTS:
        importlib.import_module(name)
    market, strategy = make_market(FIRST_ROW + 1), make_strategy()
    session = session_at(market, FIRST_ROW)
    broker = SimulatedBroker(Book(), strategy, market, CALENDAR)
    broker.take(Order("warm", session, market.symbols[0], "buy", Decimal(1)))
    broker.carry_session(session)
    closes = market.close[FIRST_ROW]
    account = broker.book.account()
    books = book_of_account(AccountState(None, account.cash_usd, {}), market.symbols, closes)
    held = held_weights(books, strategy.policy.sizing, 1.0)
    decide_quantities(books, held, closes, strategy.policy.sizing, 1.0)


def _job(job: tuple[str, Path, int, bool, int]) -> Killed:
    kind, path, seed, is_served, amount = job
    if kind == "every":
        return kill_at_every_moment(path, seed, is_served=is_served, step=amount)
    return kill_at_random(path, seed, amount, is_served=is_served)
