"""Account folders that crash or refuse at a chosen write, and logs opened in them."""

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trading_assets.paper.audit import GENESIS_HASH, AuditHead
from trading_assets.paper.audit_log import AuditLog, AuditOrigin
from trading_assets.paper.log_folder import DiskFolder, LogFolder

EPOCH = datetime(2020, 1, 2, 12, tzinfo=UTC)


class TickingClock:
    """Advances a second with each reading, and by what is slept."""

    def __init__(self, now: datetime = EPOCH, monotonic: float = 0.0) -> None:
        self._now = now
        self._monotonic = monotonic
        self.slept: list[float] = []

    def now(self) -> datetime:
        found = self._now
        self._now += timedelta(seconds=1)
        return found

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class Crash(BaseException):
    """The process ends here."""


class FaultyFolder(DiskFolder):
    """Crashes or refuses at its n-th change, counted from 1; a torn append leaves `written` bytes.

    `create` counts as a change.
    """

    def __init__(self, path: Path, crash_at: int = 0, refuse_at: int = 0, written: int = 0) -> None:
        super().__init__(path)
        self.path = path
        self.changes = 0
        self._crash_at = crash_at
        self._refuse_at = refuse_at
        self._written = written

    def create(self, name: str) -> None:
        if not self.names() or name not in self.names():
            self._pass()
        super().create(name)

    def append(self, name: str, data: bytes) -> None:
        try:
            self._pass()
        except (OSError, Crash):
            super().append(name, data[: self._written])
            raise
        super().append(name, data)

    def truncate(self, name: str, size: int) -> None:
        self._pass()
        super().truncate(name, size)

    def replace(self, name: str, data: bytes) -> None:
        self._pass()
        super().replace(name, data)

    def _pass(self) -> None:
        self.changes += 1
        if self.changes == self._crash_at:
            raise Crash
        if self.changes == self._refuse_at:
            raise OSError(errno.ENOSPC, "No space left on device")


def open_log(
    path: Path = Path("log"),
    folder: LogFolder | None = None,
    stored: bytes = b"",
    known: AuditHead | None = None,
    genesis: str = GENESIS_HASH,
    run_id: str = "",
) -> AuditLog:
    where = folder or DiskFolder(path.parent)
    origin = AuditOrigin(session_id="2020-01-02", run_id=run_id, genesis=genesis)
    return AuditLog(where, path.name, TickingClock(), origin, stored, known)


def intents(count: int) -> list[tuple[str, dict[str, str]]]:
    return [
        (
            "INTENT",
            {
                "client_order_id": f"order-{number}",
                "symbol": "AAA",
                "side": "buy",
                "quantity": "1",
                "order_type": "market",
                "receiver": "simulated",
            },
        )
        for number in range(count)
    ]
