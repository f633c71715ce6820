"""File locks between processes, freed by the kernel when their holder dies."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from trading_assets.errors import DataError

# How long anything of the lake waits for other processes unless told otherwise.
LOCK_TIMEOUT_SECONDS = 60.0
_POLL_SECONDS = 0.02


@contextmanager
def hold(
    path: Path, *, is_exclusive: bool, timeout_seconds: float = LOCK_TIMEOUT_SECONDS
) -> Generator[None]:
    """Hold a lock on a file, which is created if absent and never removed.

    Parameters
    ----------
    path : Path
        The lock file.
    is_exclusive : bool
        Whether nobody else may hold it; otherwise it is shared.
    timeout_seconds : float
        How long to wait for other holders.

    Raises
    ------
    DataError
        If another process keeps the lock longer than that.
    OSError
        If the file cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(handle, path, is_exclusive, timeout_seconds)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, is_exclusive: bool, timeout_seconds: float) -> None:
    mode = fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(handle, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                msg = (
                    f"another process held {path} longer than {timeout_seconds:g} s; wait for it"
                    " to finish and run again"
                )
                raise DataError(msg) from None
            time.sleep(_POLL_SECONDS)
        else:
            return
