"""What is wrong before a session at a real broker: one sentence, a record of it, nothing sent."""

from collections.abc import Callable, Generator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trading_assets.governance.succession import choose_champion
from trading_assets.paper import deciders
from trading_assets.paper.account_folder import account_folder, session_logs
from trading_assets.paper.audit import audit_records, stated_genesis
from trading_assets.pipeline.paper import read_session
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import Decision
from trading_assets_tests.governance.test_succession import challenger_files
from trading_assets_tests.paper.alpaca_double import HEALTHY, KEYS, AlpacaDouble, Fault, serving
from trading_assets_tests.pipeline.alpaca_world import (
    DAY,
    MORNING,
    PAPER,
    alpaca_world,
    before_open,
    copied,
    reach,
    trade,
)
from trading_assets_tests.pipeline.live_world import LiveWorld, failures_of, ny
from trading_assets_tests.policy.tasks import make_policy

STALE = "2022-08-04"
REFUSED = '{"code": 40110000, "message": "request is not authorized"}'
CASH = '{"cash": "100000"}'
ZZZ = {"symbol": "ZZZ", "qty": "5", "side": "long"}
Prepare = Callable[[LiveWorld, pytest.MonkeyPatch], None]


def nothing(world: LiveWorld, patch: pytest.MonkeyPatch) -> None:
    """Prepare nothing."""


def without(*names: str) -> Prepare:
    def prepare(world: LiveWorld, patch: pytest.MonkeyPatch) -> None:
        for name in names:
            patch.delenv(name)

    return prepare


def live_for(strategies: str) -> Prepare:
    """Declare the live account, and permit it to these strategies."""

    def prepare(world: LiveWorld, patch: pytest.MonkeyPatch) -> None:
        file = world.root / "defs" / "tiny" / "defs.yaml"
        declared = file.read_text()
        assert "alpaca_account: paper" in declared
        file.write_text(declared.replace("alpaca_account: paper", "alpaca_account: live"))
        patch.setenv("TRADING_ASSETS_LIVE_STRATEGIES", strategies)
        patch.delenv("TRADING_ASSETS_ALPACA_URL")

    return prepare


def weigh_nan(world: LiveWorld, patch: pytest.MonkeyPatch) -> None:
    decide = deciders.decide_by_fallback

    def decide_nan(*arguments: Any) -> Decision:
        decision = decide(*arguments)
        return replace(decision, weights=np.full_like(decision.weights, np.nan))

    patch.setattr(deciders, "decide_by_fallback", decide_nan)


def change_a_card(world: LiveWorld, patch: pytest.MonkeyPatch) -> None:
    """Let a champion trade whose card was changed after its promotion."""
    strategy = world.declared.trading
    members = [make_policy(strategy, ("W1",), 3)]
    bundle = Bundle.from_parts(strategy, strategy.features.names, None, {"ppo": members})
    passed = challenger_files(bundle, passes=True)
    chosen = choose_champion({}, passed, date.fromisoformat(DAY), "equal_weight", MORNING)
    files = dict(chosen.to_files())
    [card] = [name for name in files if name.endswith("ppo/seed-3/card.json")]
    files[card] = files[card].replace(b'"ppo"', b'"sac"')
    assert files[card] != chosen.to_files()[card]
    world.store("tiny/champion", DAY, blobs=files)


@dataclass(frozen=True)
class Case:
    """What is wrong, what is said of it, and what the session's log ends with.

    `status` is the stored record's, or `fails` where the run does and nothing is stored.
    """

    name: str
    says: str
    status: str
    logs: tuple[str, ...]
    broker: dict[str, Any] = field(default_factory=dict)
    prepare: Prepare = nothing
    day: str = DAY

    @property
    def now(self) -> datetime:
        return ny(self.day, "09:15")


def clock(**changes: Any) -> dict[str, Any]:
    return {"clock": before_open().clock | changes}


def account(**changes: Any) -> dict[str, Any]:
    return {"account": {**HEALTHY, **changes}}


def failing(name: str, says: str, *logs: str, **more: Any) -> Case:
    return Case(name, says, "fails", logs, **more)


KEY, SECRET = KEYS
CASES = [
    failing("no key", f"the alpaca gateway needs {KEY}, not set", prepare=without(KEY)),
    failing("no secret", f"the alpaca gateway needs {SECRET}, not set", prepare=without(SECRET)),
    failing("no keys", f"needs {KEY} and {SECRET}, not set", prepare=without(KEY, SECRET)),
    failing(
        "wrong keys",
        f"request is not authorized; check {KEY} and {SECRET}; check keys and account",
        "STOP",
        broker={"faults": {"GET": [Fault(401, REFUSED)]}},
    ),
    failing(
        "keys of another account",
        "Alpaca refused GET /v2/account: HTTP status 403; check keys and account",
        "STOP",
        broker={"faults": {"GET": [Fault(403)]}},
    ),
    failing(
        "refused after the start",
        "Alpaca refused GET /v2/clock: HTTP status 403; check keys and account",
        "START",
        "STOP",
        broker={"faults": {"GET": [Fault(200, CASH), Fault(200, "[]"), Fault(403)]}},
    ),
    failing(
        "live, permitted to nobody",
        "https://api.alpaca.markets, which trades real money; expected",
        prepare=live_for(""),
    ),
    failing(
        "live, permitted to others",
        "https://api.alpaca.markets, which trades real money; expected",
        prepare=live_for("tiny_daily,tin"),
    ),
    Case(
        "market open",
        f"{DAY} is missed: the market is open, and its orders go before the open",
        "missed",
        ("START", "MISSED"),
        broker=clock(is_open=True),
    ),
    Case(
        "holiday at the broker",
        f"{DAY} is missed: the broker's next session is 2022-08-03",
        "missed",
        ("START", "MISSED"),
        broker=clock(next_open=ny("2022-08-03", "09:30").isoformat()),
    ),
    Case(
        "another session first",
        f"{DAY} is not due: the broker's next session is 2022-08-01",
        "missed",
        ("START", "MISSED"),
        broker=clock(next_open=ny("2022-08-01", "09:30").isoformat()),
    ),
    failing(
        "a clock that says nothing",
        "Alpaca's is_open was None; expected true or false",
        "START",
        "STOP",
        broker=clock(is_open=None),
    ),
    Case(
        "account blocked",
        "Alpaca reports account_blocked; resolve it in the account before trading",
        "halted",
        ("START", "HALT"),
        broker=account(account_blocked=True),
    ),
    Case(
        "account not active",
        "Alpaca reports an account with status SUBMITTED; expected ACTIVE",
        "halted",
        ("START", "HALT"),
        broker=account(status="SUBMITTED"),
    ),
    failing(
        "unknown symbol",
        "the account holds ZZZ; expected only symbols of the data set",
        "START",
        "RECONCILE",
        "STOP",
        broker={"positions": [ZZZ]},
    ),
    Case(
        "stale feed",
        "W1",
        "awaiting_fill",
        ("START", "RECONCILE", "DECISION", "RISK_BLOCK", "DECIDED"),
        day=STALE,
    ),
    failing(
        "weights of nan",
        "equal_weight decided a weight of nan for W1; expected finite numbers",
        "START",
        "RECONCILE",
        "STOP",
        prepare=weigh_nan,
    ),
    failing(
        "a card that does not verify",
        "ppo/seed-3/card.json' are missing, added or changed; expected the hashes",
        "START",
        "RECONCILE",
        "STOP",
        prepare=change_a_card,
    ),
]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveWorld]:
    with alpaca_world(tmp_path_factory.mktemp("night")) as world:
        yield world


@pytest.fixture
def world(night: LiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveWorld:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    return copied(night, tmp_path / "world")


def logged(world: LiveWorld, day: str) -> list[dict[str, str]]:
    """Return what the session's log holds; reading it verifies its chain."""
    log = session_logs(account_folder(world.root / "data", "tiny")).get(day, b"")
    return audit_records(log, stated_genesis(log)) if log else []


def run(world: LiveWorld, case: Case, patch: pytest.MonkeyPatch) -> tuple[AlpacaDouble, list[str]]:
    with serving(before_open(case.day, **deepcopy(case.broker))) as broker:
        reach(patch, broker.url)
        case.prepare(world, patch)
        result = trade(world, case.day, now=case.now)
    return broker, failures_of(result)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_sent_and_one_sentence_says_why(
    world: LiveWorld, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    broker, failures = run(world, case, monkeypatch)
    assert {method for method, *_ in broker.seen} <= {"GET"}
    assert broker.orders == {}
    records = logged(world, case.day)
    assert [record["event"] for record in records] == list(case.logs)
    stored = world.records("paper_session")
    if case.status == "fails":
        [failure] = failures
        assert case.says in failure
        assert "\n" not in failure
        assert case.day not in stored
        if records:
            assert records[-1]["status"] == "failed"
            assert records[-1]["reason"] in failure
            assert case.says in records[-1]["reason"]
        return
    session = read_session(world.lake, PAPER, case.day)
    assert session.status == case.status
    assert session.tables["fills"].is_empty()
    if case.status == "missed":
        assert not failures
        assert (session.summary["reason"], records[-1]["reason"]) == (case.says, case.says)
    elif case.status == "halted":
        [failure] = failures
        assert session.differences == [case.says]
        assert "ledger_equals_broker" in failure
        assert records[-1]["reason"] == f"ledger and broker differ; {case.says}"
    else:
        assert not failures
        orders = session.tables["orders"]
        assert orders["status"].to_list() == ["refused"]
        [block] = [record for record in records if record["event"] == "RISK_BLOCK"]
        assert "3 sessions old" in block["reason"]
        assert orders["reason"].to_list() == [block["reason"]]


@pytest.mark.parametrize("name", ["wrong keys", "a clock that says nothing", "weights of nan"])
def test_a_session_that_failed_twice_says_it_once_and_is_traded_when_all_is_well(
    world: LiveWorld, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    [case] = [case for case in CASES if case.name == name]
    for _ in range(2):
        with monkeypatch.context() as patch:
            run(world, case, patch)
    assert [record["event"] for record in logged(world, DAY)] == list(case.logs)
    with serving(before_open()) as broker:
        reach(monkeypatch, broker.url)
        assert failures_of(trade(world)) == []
    events = [record["event"] for record in logged(world, DAY)]
    assert events.count("STOP") == 1
    assert events.index("STOP") < events.index("DECIDED")
