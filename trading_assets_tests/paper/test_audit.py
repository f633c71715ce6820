import hashlib
import json
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trading_assets.errors import DataError
from trading_assets.paper.audit import (
    CHAIN_FIELDS,
    GENESIS_HASH,
    AuditHead,
    audit_head,
    audit_records,
    record_hash,
    stated_genesis,
    verify_audit,
)
from trading_assets.paper.audit_fields import EVENTS, RTS_6_ROWS, require_fields
from trading_assets.paper.audit_log import AuditLog, AuditOrigin, AuditWriteError
from trading_assets.paper.log_folder import DiskFolder
from trading_assets_tests.paper.audit_disks import (
    Crash,
    FaultyFolder,
    TickingClock,
    intents,
    open_log,
)


def write_log(path: Path, count: int = 6) -> bytes:
    with open_log(path) as log:
        for number in range(count):
            log.append("NOT_SENT", client_order_id=str(number), reason='quoted "ä"')
        return log.content()


def rechained(records: list[dict[str, str]], start: int) -> bytes:
    """Recompute every hash from `start` on, as a forger who knows the format would."""
    previous = records[start - 1]["hash"] if start else GENESIS_HASH
    for number, record in enumerate(records[start:], start=start + 1):
        record.update(prev_hash=previous, seq=str(number))
        record["hash"] = previous = record_hash(record)
    return b"".join(json.dumps(r, sort_keys=True).encode() + b"\n" for r in records)


def line_ends(log: bytes) -> list[int]:
    return [place + 1 for place, byte in enumerate(log) if byte == ord("\n")]


def test_an_untouched_log_has_no_problem(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    assert verify_audit(log) == []
    assert verify_audit(log, audit_head(log)) == []
    assert verify_audit(b"") == []


def test_the_chain_is_sha256_over_sorted_json(tmp_path: Path) -> None:
    first, second = (json.loads(line) for line in write_log(tmp_path / "log", 2).splitlines())
    body = {name: value for name, value in first.items() if name != "hash"}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    assert first["prev_hash"] == "0" * 64
    assert first["hash"] == second["prev_hash"] == digest
    assert all(isinstance(value, str) for value in first.values())


def test_every_flipped_byte_is_found_at_its_line(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    head = audit_head(log)
    rng = random.Random(0)
    for _ in range(500):
        place = rng.randrange(len(log))
        forged = bytearray(log)
        forged[place] ^= 1 << rng.randrange(8)
        problems = verify_audit(bytes(forged), head)
        line = log.count(b"\n", 0, place) + 1
        # A flipped line end joins or splits lines; anything else is found on its own line.
        expected = {f"line {line}:", f"line {line + 1}:"}
        assert problems, place
        assert any(problems[0].startswith(text) for text in expected), problems


def test_deleted_swapped_inserted_and_repeated_lines_are_found(tmp_path: Path) -> None:
    lines = write_log(tmp_path / "log").splitlines(keepends=True)
    assert verify_audit(b"".join(lines[:2] + lines[3:]))[0].startswith("line 3")
    assert verify_audit(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))[0].startswith(
        "line 2"
    )
    assert verify_audit(b"".join([*lines[:3], lines[2], *lines[3:]]))[0].startswith("line 4")
    assert verify_audit(b"".join([*lines[:3], b"\n", *lines[3:]]))[0].startswith("line 4")


def test_a_cut_end_and_a_forged_tail_are_found_by_the_head(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    head = audit_head(log)
    lines = log.splitlines(keepends=True)
    cut = b"".join(lines[:-1])
    assert verify_audit(cut) == []
    assert "expected 6 records" in verify_audit(cut, head)[0]
    records = audit_records(log)
    records[3]["reason"] = "99"
    forged = rechained(records, 3)
    assert verify_audit(forged) == []
    assert verify_audit(forged, head) != []


def test_a_record_that_says_the_same_in_other_letters_is_found(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    for old, new in ((b'", "', b'",  "'), (b"\\u00e4", b"\\u00E4"), (b"\\u00e4", "ä".encode())):
        forged = log.replace(old, new, 1)
        assert forged != log
        assert verify_audit(forged)[0].startswith("line 1: not in canonical form")


def test_a_value_that_is_no_string_is_found(tmp_path: Path) -> None:
    records = audit_records(write_log(tmp_path / "log"))
    records[0]["reason"] = 1  # type: ignore[assignment]
    assert "object of strings" in verify_audit(rechained(records, 0))[0]


def test_a_session_goes_on_from_the_head_of_the_one_before(tmp_path: Path) -> None:
    before = audit_head(write_log(tmp_path / "first"))
    with open_log(tmp_path / "second", genesis=before.hash) as log:
        log.append("MISSED", reason="closed")
        second = log.content()
    assert stated_genesis(second) == before.hash
    assert verify_audit(second, genesis=before.hash) == []
    assert verify_audit(second)[0] == "line 1: prev_hash does not continue the chain"
    with pytest.raises(DataError, match="line 1: prev_hash"), open_log(tmp_path / "second"):
        pass


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"prev_hash": 3}', b"\xff", b"[" * 100_000])
def test_a_log_that_states_no_genesis_starts_from_zeros(text: bytes) -> None:
    assert stated_genesis(text + b"\n") == GENESIS_HASH


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_log(path, 2)
    with open_log(path) as log:
        log.append("MISSED", reason="")
        assert log.head == AuditHead(3, audit_records(log.content())[-1]["hash"])
    assert verify_audit(path.read_bytes()) == []


def test_a_stored_log_is_continued_in_an_empty_folder(tmp_path: Path) -> None:
    stored = write_log(tmp_path / "log")
    with open_log(tmp_path / "other" / "log", stored=stored) as log:
        log.append("MISSED", reason="")
        assert log.content().startswith(stored)
        assert verify_audit(log.content()) == []


def test_a_log_that_does_not_continue_the_stored_one_is_refused(tmp_path: Path) -> None:
    stored = write_log(tmp_path / "log")
    write_log(tmp_path / "other", 1)
    with (
        pytest.raises(DataError, match="does not go on from the stored one"),
        open_log(tmp_path / "other", stored=stored),
    ):
        pass


def test_a_log_that_does_not_reach_its_signed_head_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = write_log(path)
    head = audit_head(log)
    records = audit_records(log)
    records[4]["reason"] = "nothing"
    for forged in (b"".join(log.splitlines(keepends=True)[:4]), rechained(records, 4)):
        path.write_bytes(forged)
        with pytest.raises(DataError, match="cut or rewritten"), open_log(path, known=head):
            pass
    path.write_bytes(log)
    with open_log(path, known=head) as again:
        assert again.head == head


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("torn", [b'{"event": "INT', b"\0" * 40, b'{"eve' + b"\0" * 4096])
def test_a_torn_last_line_is_sealed_and_named_even_if_it_is_the_first(
    tmp_path: Path, count: int, torn: bytes
) -> None:
    path = tmp_path / "log"
    whole = write_log(path, count)
    path.write_bytes(whole + torn)
    assert verify_audit(path.read_bytes()) != []
    with open_log(path) as log:
        sealed = log.records()[-1]
        assert log.head.count == count + 1
    assert sealed["event"] == "CRASH_RECOVERED"
    assert sealed["torn_bytes"] == str(len(torn))
    assert sealed["torn_sha256"] == hashlib.sha256(torn).hexdigest()
    assert path.read_bytes().startswith(whole)
    assert verify_audit(path.read_bytes()) == []


def test_a_batch_is_there_whole_or_sealed_wherever_its_write_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    before = write_log(path, 2)
    with open_log(path) as log:
        log.append_batch(intents(3))
        after = log.content()
    assert [r["batch_left"] for r in audit_records(after)] == ["0", "0", "2", "1", "0"]
    ends = [place + shift for place in line_ends(after) for shift in (-1, 0, 1)]
    for size in (
        len(before),
        *filter(lambda end: len(before) < end < len(after), ends),
        len(after),
    ):
        path.write_bytes(after[:size])
        with open_log(path) as log:
            events = [record["event"] for record in log.records()]
        expected = {len(before): [], len(after): ["INTENT"] * 3}.get(size, ["CRASH_RECOVERED"])
        assert events[2:] == expected, size


def test_two_whole_batches_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open_log(path) as log:
        log.append_batch(intents(2))
        log.append_batch(intents(3))
    with open_log(path) as log:
        assert log.head.count == 5


@pytest.mark.parametrize("written", [0, 40])
def test_a_crash_while_sealing_still_names_the_bytes(tmp_path: Path, written: int) -> None:
    torn = b'{"event": "INT'
    whole = write_log(tmp_path / "log", 2)
    has_crashed = True
    for crash_at in range(1, 10):
        path = tmp_path / str(crash_at) / "log"
        path.parent.mkdir()
        path.write_bytes(whole + torn)
        try:
            with open_log(path, folder=FaultyFolder(path.parent, crash_at, written=written)):
                has_crashed = False
        except Crash:
            pass
        with open_log(path) as log:
            named = {record.get("torn_sha256") for record in log.records()}
        assert hashlib.sha256(torn).hexdigest() in named
        if not has_crashed:
            assert crash_at > 1
            return
    pytest.fail("every opening crashed")


def test_a_log_damaged_inside_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(write_log(path).replace(b'"3"', b'"4"', 1))
    with pytest.raises(DataError, match="damaged"), open_log(path):
        pass


def test_an_edited_last_line_is_damage_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(write_log(path).replace(b'_id": "5"', b'_id": "7"', 1))
    with pytest.raises(DataError, match="damaged: line 6: hash"), open_log(path):
        pass


def test_a_second_writer_of_the_account_is_refused(tmp_path: Path) -> None:
    with (
        open_log(tmp_path / "2024-03-07.jsonl") as log,
        pytest.raises(DataError, match="held by another run"),
        open_log(tmp_path / "2024-03-08.jsonl"),
    ):
        pass
    with open_log(tmp_path / "2024-03-08.jsonl") as log:
        log.append("MISSED", reason="")


def test_a_holder_of_the_account_opens_its_logs_and_keeps_holding(tmp_path: Path) -> None:
    folder = DiskFolder(tmp_path)
    with folder.lock("account.lock"):
        with open_log(tmp_path / "log", folder=folder) as log:
            log.append("MISSED", reason="")
        with pytest.raises(DataError, match="held by another run"), open_log(tmp_path / "log"):
            pass
    with open_log(tmp_path / "log"):
        pass


def test_a_batch_is_one_write_and_on_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    write, sync = os.write, os.fsync
    with open_log(tmp_path / "log") as log:
        monkeypatch.setattr(
            os, "write", lambda fd, data: (calls.append("write"), write(fd, data))[1]
        )
        monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), sync(fd))[1])
        log.append_batch(intents(50))
    assert calls == ["write", "fsync"]
    assert len(audit_records((tmp_path / "log").read_bytes())) == 50


def test_the_names_of_a_new_log_and_its_folders_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with open_log(tmp_path / "paper" / "one" / "log"):
        pass
    assert {str(tmp_path), str(tmp_path / "paper"), str(tmp_path / "paper" / "one")} <= {*synced}


@pytest.mark.parametrize("written", [0, 30, 10_000])
def test_after_a_refused_write_the_log_takes_nothing_until_it_is_opened_anew(
    tmp_path: Path, written: int
) -> None:
    folder = FaultyFolder(tmp_path, refuse_at=2, written=written)
    with open_log(tmp_path / "log", folder=folder) as log:
        with pytest.raises(AuditWriteError, match="No space left"):
            log.append_batch(intents(2))
        assert log.head.count == 0
        for use in (
            lambda: log.append("MISSED", reason=""),
            lambda: log.append_once("MISSED", reason=""),
            log.content,
            log.records,
        ):
            with pytest.raises(AuditWriteError, match="open it again"):
                use()
    with open_log(tmp_path / "log") as log:
        events = {0: [], 30: ["CRASH_RECOVERED"], 10_000: ["INTENT", "INTENT"]}
        assert [record["event"] for record in log.records()] == events[written]
        log.append("MISSED", reason="")


def test_a_disk_that_refuses_the_log_opens_nothing(tmp_path: Path) -> None:
    folder = FaultyFolder(tmp_path, refuse_at=1)
    with pytest.raises(AuditWriteError, match="No space left"), open_log(folder=folder):
        pass
    with open_log(tmp_path / "log"):
        pass


def test_a_log_that_was_moved_away_is_not_written_to_unseen(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        (tmp_path / "log").rename(tmp_path / "away")
        with pytest.raises(AuditWriteError, match="No such file"):
            log.append("MISSED", reason="")


def test_a_log_that_is_closed_takes_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    with pytest.raises(AuditWriteError, match="is not open"):
        log.append("MISSED", reason="")
    with log:
        pass
    with pytest.raises(AuditWriteError, match="is not open"):
        log.append("MISSED", reason="")


def test_the_same_content_is_logged_once_and_changed_content_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for run, reason in enumerate(("one", "one", "two")):
        with open_log(path, run_id=str(run)) as log:
            log.append_once("MISSED", reason=reason)
            log.append_batch(intents(2), is_once=True)
            assert log.holds("MISSED", {"reason": reason})
    records = audit_records(path.read_bytes())
    assert [r["reason"] for r in records if r["event"] == "MISSED"] == ["one", "two"]
    assert [r["event"] for r in records].count("INTENT") == 2


def test_a_record_says_when_where_and_by_whom_it_was_written(tmp_path: Path) -> None:
    origin = AuditOrigin("2024-03-08", "run-7", "desk", "-1.25")
    clock = TickingClock(datetime(2024, 3, 8, 14, 30, 0, 123456, tzinfo=UTC), monotonic=12.5)
    with AuditLog(DiskFolder(tmp_path), "log", clock, origin) as log:
        log.append("MISSED", reason="late")
        (record,) = log.records()
    assert set(CHAIN_FIELDS) <= set(record)
    assert record["ts_utc"] == "2024-03-08T14:30:00.123456+00:00"
    assert record["ts_monotonic_ns"] == "12500000000"
    assert record["clock_offset_ms"] == "-1.25"
    assert [record[name] for name in ("session_id", "run_id", "host")] == [
        "2024-03-08",
        "run-7",
        "desk",
    ]


def test_fields_that_cannot_be_filled_stand_there_empty(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        log.append_batch(intents(1))
        (record,) = log.records()
    assert record["limit_price_usd"] == record["isin"] == record["valid_until"] == ""
    assert record["quantity"] == "1"


@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        ("INVENTED", {}, "event was 'INVENTED'"),
        ("MISSED", {"reason": "", "mood": "bad"}, "unknown mood"),
        ("MISSED", {}, "no reason"),
        ("MISSED", {"reason": 3}, "field reason of MISSED was 3"),
        ("MISSED", {"reason": "", "hash": "0"}, "unknown hash"),
        ("ACCOUNT", {"cash_usd": "1", "equity_usd": "1", "fees": "1"}, "unknown fees"),
    ],
)
def test_what_no_record_may_say_is_refused_and_not_written(
    tmp_path: Path, event: str, fields: dict[str, str], expected: str
) -> None:
    with pytest.raises(DataError, match=expected):
        require_fields(event, fields)
    with open_log(tmp_path / "log") as log:
        with pytest.raises(DataError, match=expected):
            log.append_batch([("MISSED", {"reason": "fine"}), (event, fields)])
        assert log.content() == b""
        log.append("MISSED", reason="fine")


def test_cash_is_told_by_the_brokers_own_words() -> None:
    said = require_fields("ACCOUNT", {"cash_usd": "1", "equity_usd": "1", "jnlc_usd": "2"})
    assert said["jnlc_usd"] == "2"


def test_every_event_has_a_meaning_and_every_regulated_field_an_event() -> None:
    assert all(event.meaning.endswith(".") for event in EVENTS.values())
    fields = {name for event in EVENTS.values() for name in event.fields}
    assert set(RTS_6_ROWS) <= fields | {*CHAIN_FIELDS, "event"}
