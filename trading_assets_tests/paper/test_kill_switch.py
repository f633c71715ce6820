import contextlib
import json
import multiprocessing
from pathlib import Path

import pytest

from trading_assets.errors import DataError, UserError
from trading_assets.paper.kill_switch import CONTROL_LOCK, CONTROL_LOG, MARKER, KillSwitch
from trading_assets.paper.log_folder import ACCOUNT_LOCK, DiskFolder
from trading_assets_tests.paper.audit_disks import EPOCH, Crash, FaultyFolder, TickingClock


def switch_in(folder: Path | DiskFolder) -> KillSwitch:
    where = folder if isinstance(folder, DiskFolder) else DiskFolder(folder)
    return KillSwitch(where, TickingClock())


def events(folder: Path) -> list[str]:
    return [record["event"] for record in switch_in(folder).history()]


def test_a_new_account_is_active_and_looking_writes_nothing(tmp_path: Path) -> None:
    switch = switch_in(tmp_path / "one")
    assert switch.state() == ("ACTIVE", "", "", None)
    assert not switch.is_halted
    assert not (tmp_path / "one").exists()


def test_a_halt_stands_for_every_process_until_a_person_rearms(tmp_path: Path) -> None:
    running = switch_in(tmp_path)
    assert not running.is_halted
    state = switch_in(tmp_path).halt("ann", "drawdown")
    assert state == ("HALTED", "ann", "drawdown", EPOCH)
    assert running.state() == switch_in(tmp_path).state() == state
    switch_in(tmp_path).rearm("bob", "checked by hand")
    assert running.state()[:3] == ("ACTIVE", "bob", "checked by hand")
    records = running.history()
    assert [(r["event"], r["by"], r["reason"]) for r in records] == [
        ("HALT", "ann", "drawdown"),
        ("REARM", "bob", "checked by hand"),
    ]


def test_a_second_halt_changes_nothing_and_a_halt_after_a_rearm_is_a_new_one(
    tmp_path: Path,
) -> None:
    switch = switch_in(tmp_path)
    first = switch.halt("ann", "drawdown")
    assert switch.halt("bob", "again") == first
    assert switch_in(tmp_path).halt("ann", "drawdown") == first
    assert events(tmp_path) == ["HALT"]
    switch.rearm("ann", "fine")
    switch.rearm("ann", "fine")
    assert switch.halt("ann", "drawdown").state == "HALTED"
    assert events(tmp_path) == ["HALT", "REARM", "HALT"]


def test_reducing_lies_between_and_never_loosens_a_halt(tmp_path: Path) -> None:
    switch = switch_in(tmp_path)
    assert switch.reduce("limits", "cash is short").state == "REDUCING"
    assert not switch.is_halted
    assert switch.reduce("limits", "again")[1:3] == ("limits", "cash is short")
    switch.halt("ann", "worse")
    assert switch.reduce("limits", "cash is short").state == "HALTED"
    assert events(tmp_path) == ["REDUCE", "HALT"]
    switch.rearm("ann", "fine")
    switch.reduce("limits", "short again")
    assert switch.rearm("ann", "fine").state == "ACTIVE"


@pytest.mark.parametrize(("by", "reason"), [("", "fine"), ("ann", ""), (" \n", "fine")])
def test_nobody_rearms_without_a_name_and_a_reason(tmp_path: Path, by: str, reason: str) -> None:
    switch = switch_in(tmp_path)
    switch.halt("ann", "drawdown")
    with pytest.raises(UserError, match="expected who allows trading again and why"):
        switch.rearm(by, reason)
    assert switch.is_halted


def rewritten(marker: bytes, **changes: str) -> bytes:
    return json.dumps({**json.loads(marker), **changes}, sort_keys=True).encode()


@pytest.mark.parametrize("state", ["ACTIVE", "REDUCING"])
def test_a_marker_that_is_torn_edited_or_gone_means_halted(tmp_path: Path, state: str) -> None:
    path = tmp_path / MARKER
    switch = switch_in(tmp_path)
    switch.halt("ann", "drawdown")
    halted = path.read_bytes()
    switch.rearm("ann", "fine")
    if state == "REDUCING":
        switch.reduce("limits", "cash is short")
    whole = path.read_bytes()
    forged = [whole[:size] for size in range(len(whole) - 1)]
    forged += [
        whole.replace(state.encode(), b"INVENTED"),
        halted.replace(b"HALTED", b"ACTIVE"),
        rewritten(whole, by="mallory"),
        b"[]",
        b"[" * 100_000,
        b"\xff",
    ]
    for text in forged:
        path.write_bytes(text)
        assert switch.is_halted, text
        assert switch_in(tmp_path).is_halted, text
    path.unlink()
    assert switch.is_halted
    assert "missing or damaged" in switch.state().reason
    path.write_bytes(whole)
    assert switch.state().state == state
    path.unlink()
    assert switch.rearm("ann", "restored").state == "ACTIVE"


def test_a_marker_that_fits_no_recorded_change_means_halted(tmp_path: Path) -> None:
    switch = switch_in(tmp_path)
    switch.halt("ann", "drawdown")
    switch.rearm("ann", "fine")
    active = (tmp_path / MARKER).read_bytes()
    switch.halt("ann", "again")
    (tmp_path / MARKER).write_bytes(active)
    assert switch.state()[:3] == ("HALTED", "ann", "again")
    (tmp_path / CONTROL_LOG).unlink()
    assert "fits no record" in switch.state().reason


def test_a_damaged_record_of_changes_means_halted_and_is_not_rearmed(tmp_path: Path) -> None:
    switch = switch_in(tmp_path)
    switch.halt("ann", "drawdown")
    switch.rearm("ann", "fine")
    control = tmp_path / CONTROL_LOG
    control.write_bytes(control.read_bytes().replace(b"drawdown", b"drowsing"))
    assert "is damaged: line 1" in switch.state().reason
    with pytest.raises(DataError, match="damaged"):
        switch.rearm("ann", "fine")
    with pytest.raises(DataError, match="damaged"):
        switch.halt("ann", "again")
    assert switch_in(tmp_path).is_halted
    assert json.loads((tmp_path / MARKER).read_bytes())["state"] == "HALTED"


def test_a_marker_that_cannot_be_read_means_halted(tmp_path: Path) -> None:
    switch = switch_in(tmp_path)
    switch.halt("ann", "drawdown")
    switch.rearm("ann", "fine")
    (tmp_path / MARKER).unlink()
    (tmp_path / MARKER).mkdir()
    assert switch.is_halted
    assert "cannot be read" in switch.state().reason


def crashed(folder: Path, crash_at: int, what: str, written: int) -> bool:
    try:
        getattr(switch_in(FaultyFolder(folder, crash_at, written=written)), what)("ann", "test")
    except Crash:
        return True
    return False


@pytest.mark.parametrize("written", [0, 50, 10_000])
def test_a_crash_at_any_write_of_a_halt_leaves_it_to_be_done_or_done(
    tmp_path: Path, written: int
) -> None:
    for crash_at in range(1, 9):
        folder = tmp_path / str(crash_at)
        has_crashed = crashed(folder, crash_at, "halt", written)
        # The marker comes first, and is the first change.
        assert switch_in(folder).is_halted == (crash_at > 1)
        switch_in(folder).halt("ann", "test")
        assert switch_in(folder).is_halted
        assert [event for event in events(folder) if event != "CRASH_RECOVERED"] == ["HALT"]
        switch_in(folder).rearm("ann", "fine")
        assert not switch_in(folder).is_halted
        if not has_crashed:
            assert crash_at > 3
            return
    pytest.fail("every halt crashed")


@pytest.mark.parametrize("written", [0, 50, 10_000])
@pytest.mark.parametrize(("what", "allowed"), [("rearm", {"ACTIVE"}), ("reduce", {"REDUCING"})])
def test_a_crash_at_any_write_never_loosens_what_was_not_recorded(
    tmp_path: Path, written: int, what: str, allowed: set[str]
) -> None:
    for crash_at in range(1, 9):
        folder = tmp_path / str(crash_at)
        switch_in(folder).halt("ann", "drawdown")
        if what == "reduce":
            switch_in(folder).rearm("ann", "fine")
        before = switch_in(folder).state().state
        has_crashed = crashed(folder, crash_at, what, written)
        found = switch_in(folder).state().state
        assert found in {before, *allowed}, crash_at
        if found != before:
            assert what.upper() in "".join(events(folder))
        getattr(switch_in(folder), what)("ann", "test")
        assert switch_in(folder).state().state in allowed
        if not has_crashed:
            assert crash_at > 2
            return
    pytest.fail("every change crashed")


@pytest.mark.parametrize("refuse_at", [1, 2, 3])
def test_a_full_disk_does_not_keep_anybody_from_halting(tmp_path: Path, refuse_at: int) -> None:
    switch_in(tmp_path).halt("ann", "before")
    switch_in(tmp_path).rearm("ann", "fine")
    switch = switch_in(FaultyFolder(tmp_path, refuse_at=refuse_at))
    with contextlib.suppress(DataError):
        switch.halt("ann", "drawdown")
    assert switch.is_halted
    assert switch_in(tmp_path).is_halted


class DeadFolder(DiskFolder):
    def replace(self, name: str, data: bytes) -> None:
        raise OSError(5, "Input/output error")

    def truncate(self, name: str, size: int) -> None:
        raise OSError(5, "Input/output error")


def test_a_halt_that_cannot_be_written_halts_its_own_process(tmp_path: Path) -> None:
    switch = switch_in(DeadFolder(tmp_path))
    with pytest.raises(DataError, match="could not be written"):
        switch.halt("ann", "drawdown")
    assert switch.state()[:3] == ("HALTED", "ann", "drawdown")


def test_a_running_session_does_not_keep_anybody_from_halting(tmp_path: Path) -> None:
    with DiskFolder(tmp_path).lock(ACCOUNT_LOCK):
        assert switch_in(tmp_path).halt("ann", "drawdown").state == "HALTED"


def test_a_process_that_hangs_with_the_lock_does_not_keep_a_halt_from_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_assets.paper.kill_switch.LOCK_TIMEOUT_SECONDS", 0.05)
    with DiskFolder(tmp_path).lock(CONTROL_LOCK):
        with pytest.raises(DataError, match="held by another run"):
            switch_in(tmp_path).halt("ann", "drawdown")
        assert switch_in(tmp_path).is_halted


class RearmedMeanwhile(DiskFolder):
    """Another process's rearm puts its marker in place while a halt waits for the lock."""

    def __init__(self, path: Path, marker: bytes) -> None:
        super().__init__(path)
        self._marker: bytes | None = marker

    def lock(self, name: str, timeout_seconds: float = 0.0):
        if self._marker is not None:
            marker, self._marker = self._marker, None
            self.replace(MARKER, marker)
        return super().lock(name, timeout_seconds)


def test_a_rearm_that_overlaps_a_halt_does_not_undo_it(tmp_path: Path) -> None:
    switch_in(tmp_path).halt("ann", "before")
    switch_in(tmp_path).rearm("ann", "fine")
    active = (tmp_path / MARKER).read_bytes()
    switch_in(RearmedMeanwhile(tmp_path, active)).halt("bob", "drawdown")
    assert json.loads((tmp_path / MARKER).read_bytes())["state"] == "HALTED"
    assert switch_in(tmp_path).state()[:3] == ("HALTED", "bob", "drawdown")


def _halt(folder: str, number: int) -> None:
    switch_in(Path(folder)).halt(f"process {number}", "race")


def test_halts_of_several_processes_at_once_are_one_halt(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_halt, args=(str(tmp_path), n)) for n in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    state = switch_in(tmp_path).state()
    assert state.state == "HALTED"
    assert events(tmp_path)[-1] == "HALT"
    assert switch_in(tmp_path).history()[-1]["by"].startswith("process")
    assert not list(tmp_path.glob(".writing*"))


def test_looking_again_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DiskFolder(tmp_path)
    switch = switch_in(folder)
    switch.halt("ann", "drawdown")
    switch.rearm("ann", "fine")
    assert not switch.is_halted

    def refuse(name: str) -> bytes:
        raise AssertionError(name)

    monkeypatch.setattr(folder, "read", refuse)
    assert not switch.is_halted
