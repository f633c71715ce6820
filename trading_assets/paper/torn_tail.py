"""What a crash left of the last durable write of an audit log."""

import json
from typing import Any, cast


def split_torn_tail(log: bytes) -> tuple[bytes, bytes]:
    """Return a log's whole writes, and the bytes of a last write that was cut off.

    Cut off is an incomplete last line, a file that was lengthened before its bytes came (zeros at
    the end), and the complete lines of a batch whose later lines are missing: nobody was told that
    they were written, so none of them counts. Anything else that is wrong with a log is damage.

    Parameters
    ----------
    log : bytes
        The log as it is on disk.
    """
    end = log.rfind(b"\n") + 1
    lines = log[:end].split(b"\n")[:-1]
    left = _batch_left(lines[-1]) if lines else 0
    while left and lines:
        end -= len(lines.pop()) + 1
        # The line before belongs to the same write if one more was to follow it.
        follows = lines and _batch_left(lines[-1]) == left + 1
        left = left + 1 if follows else 0
    return log[:end], log[end:]


def _batch_left(line: bytes) -> int:
    try:
        record: object = json.loads(line)
    except (ValueError, RecursionError):
        return 0
    if not isinstance(record, dict):
        return 0
    left = cast("dict[str, Any]", record).get("batch_left", "0")
    return int(left) if isinstance(left, str) and left.isascii() and left.isdigit() else 0
