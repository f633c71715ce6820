import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from trading_assets.errors import DataError
from trading_assets.paper.audit import GENESIS_HASH, AuditHead, audit_head, record_hash
from trading_assets.paper.audit_verification import (
    unsigned_count,
    verify_account,
    verify_session,
)
from trading_assets.paper.checkpoints import SignedHead
from trading_assets.paper.signing_keys import Signer, is_signed_by, load_signer, signer_of
from trading_assets.paper.witness import Witness, read_heads
from trading_assets_tests.lake.samples import open_lake
from trading_assets_tests.paper.audit_disks import TickingClock, intents, open_log

SESSION = "2020-01-02"
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
TRUSTED = {SIGNER.public_key}


class KeptHeads:
    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []

    def append(self, account: str, head: str) -> None:
        self.kept.append((account, head))

    def heads(self, account: str) -> list[str]:
        return [head for owner, head in self.kept if owner == account]


def make_witness(store: KeptHeads | None = None, signer: Signer = SIGNER) -> Witness:
    return Witness("one", signer, store or KeptHeads(), TickingClock())


def write_session(
    folder: Path, store: KeptHeads, session: str = SESSION, genesis: str = GENESIS_HASH
) -> bytes:
    """Two decisions of three orders, with a checkpoint after each and one at the end."""
    witness = make_witness(store)
    with open_log(folder / session, genesis=genesis) as log:
        for _ in range(2):
            log.append_batch(intents(3))
            witness.checkpoint(session, log.head)
        log.append("STOP", session=session, status="settled")
        witness.checkpoint(session, log.head, is_final=True)
        return log.content()


def test_a_checkpoint_is_verified_with_nothing_of_ours(tmp_path: Path) -> None:
    store = KeptHeads()
    write_session(tmp_path, store)
    for text in store.heads("one"):
        fields = json.loads(text)
        signature = bytes.fromhex(fields.pop("signature"))
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(fields["public_key"]))
        key.verify(signature, json.dumps(fields, sort_keys=True).encode())
    assert [json.loads(text)["count"] for text in store.heads("one")] == ["3", "6", "7"]
    assert [json.loads(text)["is_final"] for text in store.heads("one")] == [
        "false",
        "false",
        "true",
    ]


def test_an_untouched_session_fits_its_checkpoints(tmp_path: Path) -> None:
    store = KeptHeads()
    log = write_session(tmp_path, store)
    heads = read_heads(store, "one")
    assert verify_session(log, heads, TRUSTED) == []
    assert unsigned_count(log, heads) == 0
    assert unsigned_count(log, heads[:1]) == 4
    assert [SignedHead.from_document(head.to_document()) for head in heads] == heads


def test_what_follows_the_last_checkpoint_is_not_held_against_the_log(tmp_path: Path) -> None:
    store = KeptHeads()
    lines = write_session(tmp_path, store).splitlines(keepends=True)
    heads = read_heads(store, "one")[:1]
    assert verify_session(b"".join(lines[:5]), heads, TRUSTED) == []


def test_a_log_cut_at_any_line_is_found_where_it_ends(tmp_path: Path) -> None:
    store = KeptHeads()
    lines = write_session(tmp_path, store).splitlines(keepends=True)
    heads = read_heads(store, "one")
    for end in range(len(lines)):
        (problem,) = verify_session(b"".join(lines[:end]), heads, TRUSTED)
        assert problem.startswith(f"line {end}: the log ends here")


def test_records_after_the_final_checkpoint_are_found(tmp_path: Path) -> None:
    store = KeptHeads()
    write_session(tmp_path, store)
    with open_log(tmp_path / SESSION) as log:
        log.append("MISSED", reason="forged")
        (problem,) = verify_session(log.content(), read_heads(store, "one"), TRUSTED)
    assert problem.startswith("line 8: the session ended")


def forged(head: SignedHead, **changes: object) -> SignedHead:
    return SignedHead.from_document(
        json.dumps({**json.loads(head.to_document()), **changes}, sort_keys=True)
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"head_hash": "0" * 64}, "the signature does not fit"),
        ({"signed_at": "2030-01-01"}, "the signature does not fit"),
        ({"is_final": "true"}, "the signature does not fit"),
        ({"account": "two"}, "does not follow the one"),
        ({"session": "2020-01-03"}, "does not follow the one"),
        ({"seq": "7"}, "seq 7 is not its count"),
        ({"public_key": "00" * 32}, "is not trusted"),
        ({"public_key": "zz"}, "is not trusted"),
        ({"signature": "zz"}, "the signature does not fit"),
        ({"signature": "é"}, "the signature does not fit"),
    ],
)
def test_a_forged_checkpoint_is_found(
    tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    store = KeptHeads()
    log = write_session(tmp_path, store)
    first, second, _ = read_heads(store, "one")
    problems = verify_session(log, [first, forged(second, **changes)], TRUSTED)
    assert any(expected in problem for problem in problems), problems


def test_a_checkpoint_signed_by_a_stranger_is_found(tmp_path: Path) -> None:
    store = KeptHeads()
    log = write_session(tmp_path, store)
    stranger = Signer(Ed25519PrivateKey.generate())
    heads = [head.signed(stranger) for head in read_heads(store, "one")]
    assert all("is not trusted" in text for text in verify_session(log, heads, TRUSTED))
    assert verify_session(log, heads, TRUSTED)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": "b"}', "{", "[" * 100_000])
def test_a_kept_line_that_is_no_checkpoint_is_one_sentence(text: str) -> None:
    with pytest.raises(DataError, match="stored checkpoint was"):
        SignedHead.from_document(text)


@pytest.mark.parametrize("changes", [{"count": "x"}, {"is_final": "yes"}, {"seq": 3}])
def test_a_checkpoint_with_a_wrong_value_is_one_sentence(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    store = KeptHeads()
    write_session(tmp_path, store)
    with pytest.raises(DataError, match="stored checkpoint was"):
        forged(read_heads(store, "one")[0], **changes)


def test_sessions_of_an_account_are_held_against_each_other(tmp_path: Path) -> None:
    store = KeptHeads()
    days = ("2020-01-02", "2020-01-03", "2020-01-06")
    logs: dict[str, bytes] = {}
    genesis = GENESIS_HASH
    for day in days:
        logs[day] = write_session(tmp_path, store, day, genesis)
        genesis = audit_head(logs[day]).hash
    heads = read_heads(store, "one")
    assert verify_account(logs, heads, TRUSTED) == []
    gone = {day: log for day, log in logs.items() if day != days[1]}
    problems = verify_account(gone, heads, TRUSTED)
    assert problems[0] == "2020-01-03: the log is gone; there are checkpoints of it"
    assert problems[1].startswith("2020-01-06: line 1: prev_hash")
    (torn,) = verify_account({**logs, days[2]: logs[days[2]] + b"{"}, heads, TRUSTED)
    assert torn.startswith("2020-01-06: line 8: the last line is not complete")


def test_only_logs_of_an_earlier_release_may_start_anew(tmp_path: Path) -> None:
    store = KeptHeads()
    first, second = (write_session(tmp_path, store, day) for day in ("2020-01-02", "2020-01-03"))
    (problem,) = verify_account({"2020-01-02": first, "2020-01-03": second}, [], TRUSTED)
    assert problem.startswith("2020-01-03: line 1: prev_hash")
    record = {"event": "MISSED", "seq": "1", "prev_hash": GENESIS_HASH}
    record["hash"] = record_hash(record)
    older = f"{json.dumps(record, sort_keys=True)}\n".encode()
    assert verify_account({"2020-01-02": older, "2020-01-03": older}, [], TRUSTED) == []


def test_a_head_is_signed_once_and_never_behind_or_beside_another() -> None:
    store = KeptHeads()
    witness = make_witness(store)
    head = AuditHead(3, "a" * 64)
    signed = witness.checkpoint(SESSION, head)
    assert witness.checkpoint(SESSION, head) == signed
    assert len(store.kept) == 1
    for other in (AuditHead(2, "b" * 64), AuditHead(3, "b" * 64)):
        with pytest.raises(DataError, match="go on from checkpoint 3"):
            witness.checkpoint(SESSION, other)
    witness.checkpoint(SESSION, head, is_final=True)
    with pytest.raises(DataError, match="final"):
        witness.checkpoint(SESSION, AuditHead(4, "c" * 64))
    last = witness.last(SESSION)
    assert last is not None
    assert last.head == head
    assert witness.last("2020-01-03") is None


def test_a_last_head_of_another_key_is_refused() -> None:
    store = KeptHeads()
    make_witness(store, Signer(Ed25519PrivateKey.generate())).checkpoint(
        SESSION, AuditHead(1, "a" * 64)
    )
    with pytest.raises(DataError, match="is not signed by key"):
        make_witness(store).last(SESSION)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.pem"
    umask = os.umask(0)
    try:
        first = load_signer(path)
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_signer(path).public_key == first.public_key
    assert [entry.name for entry in path.parent.iterdir()] == ["audit.pem"]
    assert is_signed_by(first.public_key, load_signer(path).sign("text"), "text")
    assert not is_signed_by(first.public_key, load_signer(path).sign("text"), "other")


def test_openssl_reads_the_key(tmp_path: Path) -> None:
    signer = load_signer(tmp_path / "audit.pem")
    command = ["openssl", "pkey", "-in", str(tmp_path / "audit.pem"), "-pubout", "-outform", "DER"]
    try:
        der = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert der[-32:].hex() == signer.public_key


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.pem"
    load_signer(path)
    path.chmod(0o640)
    with pytest.raises(DataError, match="mode 0640; expected 0600"):
        load_signer(path)


def pem(key: Ed25519PrivateKey, password: bytes = b"") -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def test_a_key_given_as_bytes_signs_as_its_file_does(tmp_path: Path) -> None:
    signer = load_signer(tmp_path / "audit.pem")
    given = signer_of((tmp_path / "audit.pem").read_bytes(), "AUDIT_KEY")
    assert given.sign("text") == signer.sign("text")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"CANARY",
        pem(Ed25519PrivateKey.generate())[:60],
        pem(Ed25519PrivateKey.generate(), b"password"),
        generate_private_key(SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    ],
    # Each worker draws keys of its own, and all have to collect the same names.
    ids=["nothing", "no key", "a part", "encrypted", "another curve"],
)
def test_what_is_no_key_is_refused_without_being_shown(text: bytes) -> None:
    with pytest.raises(DataError, match="signing key in AUDIT_KEY") as raised:
        signer_of(text, "AUDIT_KEY")
    assert "CANARY" not in str(raised.value)
    assert raised.value.__cause__ is None
    secret = bytes(range(32))
    assert secret.hex() not in repr(SIGNER)


def test_the_lake_keeps_heads_in_order_by_account(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    assert lake.signed_heads.heads("one") == []
    for number in range(3):
        lake.signed_heads.append("one", f"head {number}")
        lake.signed_heads.append("two", f"other {number}")
    lake.close()
    again = open_lake(tmp_path)
    assert again.signed_heads.heads("one") == ["head 0", "head 1", "head 2"]
    again.close()


def test_a_manifest_of_an_earlier_release_gets_the_table(tmp_path: Path) -> None:
    import sqlite3

    lake = open_lake(tmp_path)
    lake.signed_heads.append("one", "head")
    lake.close()
    with sqlite3.connect(tmp_path / "manifest.sqlite") as connection:
        connection.execute("DROP TABLE signed_heads")
    connection.close()
    again = open_lake(tmp_path)
    assert again.signed_heads.heads("one") == []
    witness = Witness("one", SIGNER, again.signed_heads, TickingClock())
    signed = witness.checkpoint(SESSION, AuditHead(1, "a" * 64))
    assert read_heads(again.signed_heads, "one") == [signed]
    again.close()
