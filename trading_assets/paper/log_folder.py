"""The folder of an account's logs: what is written there is on disk before the call returns.

The protocol is narrow so that a test can put a disk in its place that tears, refuses and forgets.
"""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from trading_assets.errors import DataError

# Held by whoever writes an account's logs, one process at a time.
ACCOUNT_LOCK = "account.lock"

_POLL_SECONDS = 0.02
_ASIDE = ".writing-"


class LogFolder(Protocol):
    """Files of one account by name; whatever fails raises OSError."""

    @property
    def label(self) -> str:
        """What messages call the folder."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of the files, in order."""
        ...

    def stamp(self, name: str) -> tuple[int, ...] | None:
        """Return what changes whenever the file does, or None where there is none; cheap."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's content, empty where there is none."""
        ...

    def create(self, name: str) -> None:
        """Make sure that the name exists, after a crash too."""
        ...

    def append(self, name: str, data: bytes) -> None:
        """Add to the end of a file that exists; on disk on return.

        After a failure any part of the data may be there.
        """
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut a file to so many bytes, creating it if absent; on disk on return."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Give a file other content, the old or the new one after a crash; on disk on return."""
        ...

    def lock(self, name: str, timeout_seconds: float = 0.0) -> AbstractContextManager[None]:
        """Hold a lock that nobody else has; a holder's own second call passes.

        Raises
        ------
        DataError
            If another holder keeps it longer than that.
        """
        ...


class DiskFolder:
    """A folder on a local disk, created when first written to.

    Locks are freed by the kernel when their process ends. One object serves one thread.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks: set[str] = set()

    @property
    def label(self) -> str:
        """What messages call the folder."""
        return str(self._path)

    def names(self) -> tuple[str, ...]:
        """Return the names of the files, in order."""
        if not self._path.is_dir():
            return ()
        found = (entry.name for entry in self._path.iterdir() if entry.is_file())
        return tuple(sorted(name for name in found if not name.startswith(_ASIDE)))

    def stamp(self, name: str) -> tuple[int, ...] | None:
        """Return what changes whenever the file does, or None where there is none; cheap."""
        try:
            found = (self._path / name).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def read(self, name: str) -> bytes:
        """Return a file's content, empty where there is none."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return b""

    def create(self, name: str) -> None:
        """Make sure that the name exists, after a crash too."""
        self._make()
        os.close(os.open(self._path / name, os.O_RDWR | os.O_CREAT, 0o644))
        _settle_names(self._path)

    def append(self, name: str, data: bytes) -> None:
        """Add to the end of a file that exists; on disk on return.

        The file is opened anew each time: one that was moved away is not written to unseen.
        """
        descriptor = os.open(self._path / name, os.O_WRONLY | os.O_APPEND)
        try:
            _write(descriptor, data)
        finally:
            os.close(descriptor)

    def truncate(self, name: str, size: int) -> None:
        """Cut a file to so many bytes, creating it if absent; on disk on return."""
        self.create(name)
        descriptor = os.open(self._path / name, os.O_RDWR)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, name: str, data: bytes) -> None:
        """Give a file other content, the old or the new one after a crash; on disk on return."""
        self._make()
        # Two processes may replace one file at once.
        aside = self._path / f"{_ASIDE}{os.getpid()}-{name}"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _write(descriptor, data)
        finally:
            os.close(descriptor)
        aside.replace(self._path / name)
        _settle_names(self._path)

    @contextmanager
    def lock(self, name: str, timeout_seconds: float = 0.0) -> Generator[None]:
        """Hold a lock that nobody else has; a holder's own second call passes.

        Raises
        ------
        DataError
            If another holder keeps it longer than that.
        """
        if name in self._locks:
            yield
            return
        self._make()
        descriptor = os.open(self._path / name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._acquire(descriptor, name, timeout_seconds)
            self._locks.add(name)
            yield
        finally:
            self._locks.discard(name)
            os.close(descriptor)

    def _acquire(self, descriptor: int, name: str, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    msg = (
                        f"folder {self._path} is held by another run ({name}); expected one run an"
                        " account, so wait until that one has ended, then run again"
                    )
                    raise DataError(msg) from None
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _make(self) -> None:
        missing = [path for path in (self._path, *self._path.parents) if not path.exists()]
        if not missing:
            return
        self._path.mkdir(parents=True, exist_ok=True)
        for path in reversed(missing):
            _settle_names(path.parent)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _settle_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
