"""One thread and one seed for torch, so that results are the same bytes on every run."""

from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def one_seeded_thread(seed: int) -> Generator[torch.Generator]:
    """Run torch on one thread with its own seed; the caller's threads and seed come back after.

    Yields a generator of that seed; modules built inside draw from the local seed.
    """
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


@contextmanager
def one_thread() -> Generator[None]:
    """Run torch on one thread; for what draws nothing, whose seed need not be kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
