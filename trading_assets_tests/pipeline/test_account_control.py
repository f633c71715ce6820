"""The control of a paper account, as the UI's launchpad and the command line use it."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest

from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.acceptance import ACCEPTED
from trading_assets.paper.account_folder import account_folder
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.gateways import BrokerError
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.pipeline import account_asset, account_control
from trading_assets.pipeline.account_asset import account_control_assets, account_control_job
from trading_assets.pipeline.account_control import (
    AccountAccess,
    open_gateway,
    rearm_and_accept,
)
from trading_assets.pipeline.resources import CredentialsResource, LakeResource
from trading_assets_tests.paper.fixtures import (
    NAME,
    make_inputs,
    make_market,
    make_strategy,
    session_at,
)
from trading_assets_tests.paper.test_kill import FakeBroker, broker_of
from trading_assets_tests.pipeline.live_world import declare

MARKET = make_market(12)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    found = broker_of(2, ignored_by_all={"o-1"})
    found.close = lambda: None  # type: ignore[attr-defined]
    found.resume = found.suspend  # type: ignore[attr-defined]
    monkeypatch.setattr(account_asset, "open_gateway", lambda access: found)
    return found


def materialize(root: Path, **config: Any) -> dict[str, Any]:
    declared = declare(root) if not (root / "defs").exists() else None
    declared = declared or _declared_again(root)
    [asset] = account_control_assets(declared)
    result = dg.materialize(
        [asset],
        resources={"lake": LakeResource(root=str(root)), "credentials": CredentialsResource()},
        run_config={"ops": {"tiny__account_control": {"config": config}}} if config else {},
        raise_on_error=False,
    )
    [event] = result.get_asset_materialization_events() or [None]
    if event is None:
        [failure] = [e for e in result.all_events if e.is_step_failure]
        return {"failed": str(failure.step_failure_data)}
    found = event.materialization.metadata
    return {name: value.value for name, value in found.items()}


def _declared_again(root: Path) -> Any:
    from trading_assets.pipeline.declared import declared_strategy
    from trading_assets.pipeline.settings import read_settings
    from trading_assets_tests.pipeline.conftest import use_folder

    with pytest.MonkeyPatch.context() as patch:
        use_folder(patch, root)
        return declared_strategy("tiny", read_settings().declarations())


def switch_in(root: Path) -> KillSwitch:
    return KillSwitch(account_folder(root, "tiny"), SystemClock())


def test_without_an_action_the_state_is_shown_and_nothing_is_touched(
    tmp_path: Path, broker: FakeBroker
) -> None:
    shown = materialize(tmp_path)
    assert (shown["action"], shown["state"], shown["open_orders"]) == ("show", "ACTIVE", [])
    assert broker.calls == []
    assert switch_in(tmp_path).history() == []


def test_a_kill_halts_cancels_and_says_what_was_open(tmp_path: Path, broker: FakeBroker) -> None:
    shown = materialize(tmp_path, action="kill", by="ann", reason="drawdown")
    assert (shown["state"], shown["by"], shown["reason"]) == ("HALTED", "ann", "drawdown")
    assert shown["cancelled"] == ["o-1"]
    assert shown["still_open"] == []
    assert shown["broker_suspended"]
    assert switch_in(tmp_path).is_halted


def test_a_kill_stands_though_the_broker_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(access: AccountAccess) -> None:
        raise UserError("ALPACA_API_KEY is not set")

    monkeypatch.setattr(account_asset, "open_gateway", refuse)
    shown = materialize(tmp_path, action="kill", by="ann", reason="drawdown")
    assert "ALPACA_API_KEY is not set" in shown["failed"]
    assert switch_in(tmp_path).state()[:3] == ("HALTED", "ann", "drawdown")


def test_a_rearming_needs_a_name_and_a_reason(tmp_path: Path, broker: FakeBroker) -> None:
    materialize(tmp_path, action="kill")
    refused = materialize(tmp_path, action="rearm", by="ann")
    assert "expected who allows trading again and why" in refused["failed"]
    assert switch_in(tmp_path).is_halted
    shown = materialize(tmp_path, action="rearm", by="ann", reason="checked")
    assert (shown["state"], shown["by"]) == ("ACTIVE", "ann")


def test_reducing_lets_positions_only_shrink(tmp_path: Path, broker: FakeBroker) -> None:
    shown = materialize(tmp_path, action="reduce", by="ann", reason="news")
    assert shown["state"] == "REDUCING"
    assert broker.calls == []


def test_every_strategy_has_a_job_of_its_control(tmp_path: Path) -> None:
    assert account_control_job(declare(tmp_path)).name == "tiny_account_control"


class Short:
    """The broker's account lacks seven USD that our books have."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway

    def account(self) -> AccountState:
        told = self._gateway.account()
        return replace(told, cash_usd=told.cash_usd - 7)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)


@pytest.fixture
def halted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountAccess:
    """An account of the embedded broker with one settled session, then halted by hand."""
    folder = tmp_path / "paper" / NAME
    record = run_session(make_inputs(folder, MARKET, session_at(MARKET, 4)))
    stored = SessionRecord.from_files(record.tables, record.to_files())
    lake = SimpleNamespace(
        latest_before=lambda *_, **__: SimpleNamespace(partition=record.session.isoformat())
    )
    monkeypatch.setattr(account_control, "read_session", lambda *_: stored)
    monkeypatch.setattr(account_control, "_market_now", lambda access: MARKET)
    access = AccountAccess(
        name=NAME,
        trading=make_strategy(),
        market_data=MarketDataSpec.model_validate(
            {"source": {"kind": "sample"}, "universe": ["AAPL"], "start": "2012-01-03"}
        ),
        root=tmp_path,
        open_lake=lambda: cast("Any", lake),
        now=lambda: datetime(2020, 1, 9, 20, tzinfo=UTC),
        credentials={},
    )
    access.folder().switch.halt("ann", "look")
    return access


def test_books_that_agree_have_nothing_to_accept(halted: AccountAccess) -> None:
    assert rearm_and_accept(halted, "ann", "checked") == ()
    assert not halted.folder().switch.is_halted


def test_what_differs_is_accepted_by_name_and_the_next_session_trades(
    halted: AccountAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = open_gateway
    monkeypatch.setattr(account_control, "open_gateway", lambda access: Short(genuine(access)))
    [said] = rearm_and_accept(halted, "ann", "fee of the bank")
    assert said.startswith("cash is ")
    previous = account_control.read_session(cast("Any", None), "", "")
    inputs = make_inputs(
        halted.root / "paper" / NAME,
        MARKET,
        session_at(MARKET, 5),
        previous,
        gateway=Short(genuine(halted)),
    )
    traded = run_session(inputs)
    assert traded.status == "settled"
    assert Decimal(traded.summary["accepted_cash_usd"]) == -7
    assert ACCEPTED.encode() in traded.audit


def test_a_broker_that_does_not_answer_leaves_the_account_halted(
    halted: AccountAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = open_gateway

    class Mute(Short):
        def account(self) -> AccountState:
            raise BrokerError("HTTP status 504")

    monkeypatch.setattr(account_control, "open_gateway", lambda access: Mute(genuine(access)))
    with pytest.raises(DataError, match="did not answer"):
        rearm_and_accept(halted, "ann", "checked")
    assert halted.folder().switch.is_halted
