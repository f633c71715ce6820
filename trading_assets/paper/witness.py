"""The witness of an account's logs: signs where they end and keeps that elsewhere."""

from collections.abc import Sequence
from datetime import UTC
from typing import Protocol

from trading_assets.errors import DataError
from trading_assets.paper.audit import AuditHead
from trading_assets.paper.checkpoints import SignedHead
from trading_assets.paper.clock import Clock
from trading_assets.paper.signing_keys import Signer


class HeadStore(Protocol):
    """Keeps checkpoints where whoever writes the account's folder does not; removes none."""

    def append(self, account: str, head: str) -> None:
        """Keep the line of a checkpoint."""
        ...

    def heads(self, account: str) -> Sequence[str]:
        """Return the lines that were kept of an account, oldest first."""
        ...


class Witness:
    """Signs heads of one account.

    A head covers all records before it: one that could not be kept is made good by the next.

    Parameters
    ----------
    account : str
        Account, by its strategy's name.
    signer : Signer
        Its key.
    store : HeadStore
        Where heads are kept.
    clock : Clock
        Dates them.
    """

    def __init__(self, account: str, signer: Signer, store: HeadStore, clock: Clock) -> None:
        self._account = account
        self._signer = signer
        self._store = store
        self._clock = clock

    def checkpoint(self, session: str, head: AuditHead, *, is_final: bool = False) -> SignedHead:
        """Sign and keep a head, unless the last one kept says the same.

        Parameters
        ----------
        session : str
            Session of the log.
        head : AuditHead
            Where the log ends, everything up to there durable.
        is_final : bool, optional
            Whether the session has ended.

        Raises
        ------
        DataError
            If the store refuses, or has a later head of this session or another one of this place.
        """
        last = self.last(session)
        if last is not None and (last.head, last.is_final) == (head, is_final):
            return last
        if last is not None and (last.is_final or last.count > head.count or _forks(last, head)):
            msg = (
                f"audit log of {self._account} {session} ends at record {head.count} with hash"
                f" {head.hash[:12]}; expected it to go on from checkpoint {last.count}"
                f" {last.head_hash[:12]}{' (final)' if last.is_final else ''}, so restore the log"
            )
            raise DataError(msg)
        signed = SignedHead(
            account=self._account,
            session=session,
            seq=head.count,
            count=head.count,
            head_hash=head.hash,
            signed_at=self._clock.now().astimezone(UTC).isoformat(timespec="microseconds"),
            is_final=is_final,
            public_key="",
        ).signed(self._signer)
        self._store.append(self._account, signed.to_document())
        return signed

    def last(self, session: str) -> SignedHead | None:
        """Return the last head of a session, to be held against its log when that is opened.

        Raises
        ------
        DataError
            If what is kept was not signed by this key.
        """
        found = [head for head in read_heads(self._store, self._account) if head.session == session]
        if not found:
            return None
        last = found[-1]
        if last.public_key != self._signer.public_key or not last.is_genuine:
            msg = (
                f"checkpoint {last.count} of {self._account} {session} is not signed by key"
                f" {self._signer.public_key[:12]}; expected this account's own, so restore the key"
                " or the database"
            )
            raise DataError(msg)
        return last


def read_heads(store: HeadStore, account: str) -> list[SignedHead]:
    """Return the checkpoints of an account, oldest first.

    Raises
    ------
    DataError
        If one cannot be read.
    """
    return [SignedHead.from_document(text) for text in store.heads(account)]


def _forks(last: SignedHead, head: AuditHead) -> bool:
    return last.count == head.count and last.head_hash != head.hash
