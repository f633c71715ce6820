import errno
import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from trading_assets.errors import DataError
from trading_assets.paper.audit import (
    GENESIS_HASH,
    AuditHead,
    audit_head,
    audit_records,
    record_hash,
    verify_audit,
)
from trading_assets.paper.audit_log import AuditLog
from trading_assets_tests.paper.fixtures import Clock


def write_log(path: Path, count: int = 6) -> bytes:
    with AuditLog(path, Clock()) as log:
        for number in range(count):
            log.append("EVENT", number=str(number), text='quoted "ä"')
        return log.content()


def rechained(records: list[dict[str, str]], start: int) -> bytes:
    """Recompute every hash from `start` on, as a forger who knows the format would."""
    previous = records[start - 1]["hash"] if start else GENESIS_HASH
    for number, record in enumerate(records[start:], start=start + 1):
        record.update(prev_hash=previous, seq=str(number))
        record["hash"] = previous = record_hash(record)
    return b"".join(json.dumps(r, sort_keys=True).encode() + b"\n" for r in records)


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
    records[3]["number"] = "99"
    forged = rechained(records, 3)
    assert verify_audit(forged) == []
    assert verify_audit(forged, head) != []


def test_a_value_that_is_no_string_is_found(tmp_path: Path) -> None:
    records = audit_records(write_log(tmp_path / "log"))
    records[0]["number"] = 1  # type: ignore[assignment]
    assert "object of strings" in verify_audit(rechained(records, 0))[0]


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write_log(path, 2)
    with AuditLog(path, Clock()) as log:
        log.append("EVENT")
        assert log.head == AuditHead(3, audit_records(log.content())[-1]["hash"])
    assert verify_audit(path.read_bytes()) == []


def test_a_stored_log_is_continued_in_an_empty_folder(tmp_path: Path) -> None:
    stored = write_log(tmp_path / "log")
    with AuditLog(tmp_path / "other" / "log", Clock(), stored) as log:
        log.append("EVENT")
        assert log.content().startswith(stored)
        assert verify_audit(log.content()) == []


def test_a_log_that_does_not_continue_the_stored_one_is_refused(tmp_path: Path) -> None:
    stored = write_log(tmp_path / "log")
    write_log(tmp_path / "other", 1)
    with (
        pytest.raises(DataError, match="does not go on from the stored one"),
        AuditLog(tmp_path / "other", Clock(), stored),
    ):
        pass


def test_a_torn_last_line_is_sealed_and_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    whole = write_log(path)
    torn = b'{"event": "INT'
    path.write_bytes(whole + torn)
    assert "not complete" in verify_audit(path.read_bytes())[0]
    with AuditLog(path, Clock()) as log:
        sealed = log.records()[-1]
    assert sealed["event"] == "CRASH_RECOVERED"
    assert sealed["torn_sha256"] == hashlib.sha256(torn).hexdigest()
    assert verify_audit(path.read_bytes()) == []


def test_a_log_damaged_inside_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(write_log(path).replace(b'"3"', b'"4"', 1))
    with pytest.raises(DataError, match="damaged"), AuditLog(path, Clock()):
        pass


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with (
        AuditLog(path, Clock()) as log,
        pytest.raises(DataError, match="held by another"),
        AuditLog(path, Clock()),
    ):
        pass
    with AuditLog(path, Clock()) as log:
        log.append("EVENT")


def test_a_record_is_on_disk_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    write, sync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: (calls.append("write"), write(fd, data))[1])
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), sync(fd))[1])
    with AuditLog(tmp_path / "log", Clock()) as log:
        calls.clear()
        log.append("EVENT")
        assert calls == ["write", "fsync"]


def test_a_full_disk_stops_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with AuditLog(tmp_path / "log", Clock()) as log:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            log.append("EVENT")
        assert log.head.count == 0


def test_the_same_content_is_logged_once_and_changed_content_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for weight in ("0.1", "0.1", "0.2"):
        with AuditLog(path, Clock()) as log:
            log.append_once("DECISION", weight=weight)
    assert [r["weight"] for r in audit_records(path.read_bytes())] == ["0.1", "0.2"]
