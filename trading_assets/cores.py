"""How many cores this process may use."""

import os


def usable_cores() -> int:
    """Return the cores that the process is bound to, or all where a system binds to none."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
