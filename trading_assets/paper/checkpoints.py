"""Checkpoints: signed heads of audit logs, by which a rewritten or shortened log is recognised.

A checkpoint is one line of canonical JSON like a log's own, all values strings; its `signature` is
Ed25519 over the same text without the `signature` field.

What comes after the last checkpoint is protected by the chain alone: whoever can write the folder
can cut it off or forge it until the next one. A checkpoint follows the order events of every
decision and the session's end, so that this tail is at most one batch.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, cast

from trading_assets.errors import DataError, shown
from trading_assets.paper.audit import AuditHead, canonical_record
from trading_assets.paper.signing_keys import Signer, is_signed_by

_NAMES: frozenset[str] = frozenset(
    (
        "account",
        "session",
        "seq",
        "count",
        "head_hash",
        "signed_at",
        "is_final",
        "public_key",
        "signature",
    )
)
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class SignedHead:
    """Where the log of a session ended at a moment, signed.

    Attributes
    ----------
    account, session : str
        Whose log, and of which session.
    seq : int
        Number of the last record.
    count : int
        Number of records.
    head_hash : str
        Hash of the last record.
    signed_at : str
        UTC, ISO 8601 with microseconds.
    is_final : bool
        Whether the session has ended, so that no record may follow.
    public_key : str
        Of the signer, 64 hexadecimal digits.
    signature : str
        128 hexadecimal digits.
    """

    account: str
    session: str
    seq: int
    count: int
    head_hash: str
    signed_at: str
    is_final: bool
    public_key: str
    signature: str = ""

    @property
    def head(self) -> AuditHead:
        """The head without who signed it."""
        return AuditHead(self.count, self.head_hash)

    @property
    def is_genuine(self) -> bool:
        """Whether its signature is that of its own public key."""
        return is_signed_by(self.public_key, self.signature, canonical_record(self._body()))

    def signed(self, signer: Signer) -> "SignedHead":
        """Return it with the signer's public key and signature."""
        own = replace(self, public_key=signer.public_key)
        return replace(own, signature=signer.sign(canonical_record(own._body())))

    def to_document(self) -> str:
        """Return its line, without an end."""
        return canonical_record({**self._body(), "signature": self.signature})

    @classmethod
    def from_document(cls, text: str) -> "SignedHead":
        """Return the checkpoint of a line; whether it is genuine is another question.

        Raises
        ------
        DataError
            If the line is not that of a checkpoint.
        """
        fields = _fields(text)
        try:
            return cls(
                account=fields["account"],
                session=fields["session"],
                seq=int(fields["seq"]),
                count=int(fields["count"]),
                head_hash=fields["head_hash"],
                signed_at=fields["signed_at"],
                is_final=_TRUTH[fields["is_final"]],
                public_key=fields["public_key"],
                signature=fields["signature"],
            )
        except (KeyError, ValueError):
            raise _unreadable(text) from None

    def _body(self) -> dict[str, str]:
        return {
            "account": self.account,
            "session": self.session,
            "seq": str(self.seq),
            "count": str(self.count),
            "head_hash": self.head_hash,
            "signed_at": self.signed_at,
            "is_final": "true" if self.is_final else "false",
            "public_key": self.public_key,
        }


def _fields(text: str) -> dict[str, str]:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        raise _unreadable(text) from None
    fields = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if fields.keys() != _NAMES or not all(isinstance(value, str) for value in fields.values()):
        raise _unreadable(text)
    return fields


def _unreadable(text: str) -> DataError:
    msg = (
        f"stored checkpoint was {shown(text)}; expected an object of strings with"
        f" {', '.join(sorted(_NAMES))}, so restore the database that keeps it"
    )
    return DataError(msg)
