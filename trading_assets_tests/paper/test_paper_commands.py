from argparse import Namespace
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trading_assets import paper_commands
from trading_assets.cli import main
from trading_assets.errors import UserError
from trading_assets.paper.account_folder import account_folder, signing_key_path
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.gateways import Gateway
from trading_assets.paper.kill import KillLimits
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.signing_keys import Signer, load_signer
from trading_assets.paper.witness import Witness
from trading_assets_tests.lake.samples import open_lake
from trading_assets_tests.paper.audit_disks import intents, open_log
from trading_assets_tests.paper.test_kill import UNCLEAR, FakeBroker, broker_of

NAME = "us_equities_paper"
SESSION = "2020-01-02"
LITTLE = KillLimits(deadline_seconds=0.3)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRADING_ASSETS_DATA", str(tmp_path / "data"))
    for name in ("TRADING_ASSETS_DEFS", "TRADING_ASSETS_PROFILE", "TRADING_ASSETS_ONLY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


def switch_in(data: Path) -> KillSwitch:
    return KillSwitch(account_folder(data, NAME), SystemClock())


def write_signed_log(data: Path, signer: Signer | None = None, n_signed: int = 1) -> Path:
    path = data / "paper" / NAME / f"{SESSION}.jsonl"
    lake = open_lake(data)
    signer = signer or load_signer(signing_key_path(data))
    witness = Witness(NAME, signer, lake.signed_heads, SystemClock())
    with open_log(path) as log:
        for _ in range(n_signed):
            log.append_batch(intents(3))
            witness.checkpoint(SESSION, log.head)
        log.append("STOP", session=SESSION, status="settled")
    lake.close()
    return path


def killed(broker: FakeBroker) -> int:
    options = Namespace(strategy=NAME, by="ann", reason="drawdown", flatten="no")
    broker.close = lambda: broker.calls.append("close")  # type: ignore[attr-defined]
    return paper_commands.kill(options, lambda name: cast("Gateway", broker))


def test_killing_with_a_broker_names_what_was_cancelled(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = broker_of(2, ignored_by_all={"o-1"})
    assert killed(broker) == 0
    told = capsys.readouterr().out
    assert told.startswith("HALTED since ")
    assert "by ann: drawdown" in told
    assert "1 orders cancelled\n  o-1" in told
    assert "the broker says that no order is open" in told
    assert broker.calls[-1] == "close"
    assert switch_in(data).is_halted


def test_killing_fails_while_an_order_is_open(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = broker_of(1, ignored_by_all={"o-0"}, answers={"o-0": [UNCLEAR] * 100})
    monkeypatch.setattr("trading_assets.paper.kill.KillLimits", lambda: LITTLE)
    assert killed(broker) == 1
    told = capsys.readouterr().out
    assert "1 orders still open\n  o-0" in told
    assert "not verified" in told


def test_killing_fails_where_the_broker_is_out_of_reach_and_the_halt_stands(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "paper" / NAME).mkdir(parents=True)
    with open_log(data / "paper" / NAME / f"{SESSION}.jsonl") as log:
        log.append_batch(intents(2))

    def refuse(name: str) -> Gateway:
        assert switch_in(data).is_halted
        raise UserError("ALPACA_API_KEY is not set")

    options = Namespace(strategy=NAME, by="ann", reason="drawdown", flatten="no")
    assert paper_commands.kill(options, refuse) == 1
    told = capsys.readouterr().out
    assert "ALPACA_API_KEY is not set; cancel open orders at the broker by hand" in told
    assert "2 orders open as far as the audit log knows\n  order-0\n  order-1" in told


def test_a_kill_needs_no_declaration_and_no_manifest_once_the_account_is_there(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (data / "paper" / NAME).mkdir(parents=True)
    broken = tmp_path / "defs" / "broken" / "defs.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("{", encoding="utf-8")
    monkeypatch.setenv("TRADING_ASSETS_DEFS", str(tmp_path / "defs"))
    (data / "manifest.sqlite").write_bytes(b"rubbish")
    assert main(["kill", NAME, "--by", "ann"]) == 1
    assert switch_in(data).state()[:3] == ("HALTED", "ann", "killed by hand")


def test_a_misspelt_strategy_is_not_killed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("us_equities_papr", "../paper", ""):
        assert main(["kill", name]) == 2
    assert not data.exists()
    assert "did you mean 'us_equities_paper'?" in capsys.readouterr().err


def test_a_person_rearms_with_name_and_reason(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["kill", NAME])
    assert main(["rearm", NAME, "--by", " ", "--reason", "fine"]) == 2
    assert switch_in(data).is_halted
    with pytest.raises(SystemExit):
        main(["rearm", NAME, "--by", "bob"])
    capsys.readouterr()
    assert main(["rearm", NAME, "--by", "bob", "--reason", "checked"]) == 0
    assert "by bob: checked" in capsys.readouterr().out
    assert not switch_in(data).is_halted


def test_risk_tells_state_open_orders_limits_and_changes(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["risk", NAME]) == 0
    assert capsys.readouterr().out.startswith("ACTIVE\n0 orders open")
    with open_log(data / "paper" / NAME / f"{SESSION}.jsonl") as log:
        log.append_batch(intents(2))
    main(["kill", NAME, "--by", "ann", "--reason", "drawdown"])
    capsys.readouterr()
    assert main(["risk", NAME]) == 0
    told = capsys.readouterr().out
    assert told.startswith("HALTED since ")
    assert "2 orders open as far as the audit log knows" in told
    assert "  max_order_notional_usd: " in told
    assert " HALT by ann: drawdown\n" in told
    assert main(["risk", NAME, "--rows", "0"]) == 0
    assert "drawdown\n" not in capsys.readouterr().out.split("newest last:")[1]


def test_an_intact_log_is_told_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_signed_log(data)
    for arguments in ((NAME,), (NAME, SESSION)):
        assert main(["audit", "verify", *arguments]) == 0
        assert capsys.readouterr().out == (
            "2020-01-02: 4 records, 1 checkpoints, 1 records after the last one\nintact\n"
        )


def test_a_damaged_log_is_one_sentence_and_fails(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_signed_log(data)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"order-1", b"order-7"))
    assert main(["audit", "verify", NAME]) == 1
    assert "2020-01-02: line 2: hash does not fit" in capsys.readouterr().out
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    assert main(["audit", "verify", NAME, SESSION]) == 1
    assert "its end was cut off" in capsys.readouterr().out
    path.unlink()
    assert main(["audit", "verify", NAME, SESSION]) == 1
    assert "the log is gone" in capsys.readouterr().out


def test_a_checkpoint_of_another_key_fails(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_signed_log(data, Signer(Ed25519PrivateKey.generate()))
    load_signer(signing_key_path(data))
    assert main(["audit", "verify", NAME]) == 1
    assert "is not trusted" in capsys.readouterr().out


def test_without_a_key_here_the_first_signer_is_held_to_and_no_key_is_made(data: Path) -> None:
    write_signed_log(data, Signer(Ed25519PrivateKey.generate()), n_signed=2)
    assert main(["audit", "verify", NAME]) == 0
    assert not signing_key_path(data).exists()


def test_the_key_of_the_environment_is_the_trusted_one(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signer = load_signer(tmp_path / "given.pem")
    write_signed_log(data, signer)
    load_signer(signing_key_path(data))
    assert main(["audit", "verify", NAME]) == 1
    monkeypatch.setenv("TRADING_ASSETS_AUDIT_KEY", (tmp_path / "given.pem").read_text())
    assert main(["audit", "verify", NAME]) == 0
    monkeypatch.setenv("TRADING_ASSETS_AUDIT_KEY", "CANARY")
    assert main(["audit", "verify", NAME]) == 2


def test_a_session_without_a_log_is_one_sentence(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_signed_log(data)
    assert main(["audit", "verify", NAME, "2020-01-03"]) == 2
    assert "expected one from 2020-01-02 to 2020-01-02" in capsys.readouterr().err
