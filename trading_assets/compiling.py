"""How kernels are compiled, and where the machine code is kept.

Kernels are Python functions of arrays that numba compiles at their first call. What the entry
points compile to is kept beside the code, in a folder named by the digest of all kernel sources it
may have been compiled from, so that machine code of other sources is never run. Where that folder
cannot be written, each process compiles anew. A division by zero gives inf or nan, as in numpy.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_SETTINGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# Arrays then keep no count of their users, so none can be made.
_BARE: dict[str, Any] = {**_SETTINGS, "_nrt": False}
# Kernels of limits are called by kernels of other rooms.
_SHARED = Path(__file__).parent / "risk" / "compiled"


def kernel(function: Kernel) -> Kernel:
    """Compile a function that entry points call, when one of them is compiled."""
    return cast("Kernel", numba.njit(**_SETTINGS)(function))


def entry_point(function: Kernel) -> Kernel:
    """Compile a function at its first call, or load what was compiled of the same sources."""
    return _entry_point(function, _SETTINGS)


def inlined(function: Kernel) -> Kernel:
    """Compile a function as a part of each that calls it, without counting references to arrays.

    Such a function makes no arrays, and neither do bare entry points that call it. Where a loop
    does little for each of many books, counting costs more than what is counted for.
    """
    return cast("Kernel", numba.njit(inline="always", **_BARE)(function))


def bare_entry_point(function: Kernel) -> Kernel:
    """Compile a function as `entry_point` does, without counting references to arrays."""
    return _entry_point(function, _BARE)


def _entry_point(function: Kernel, settings: dict[str, Any]) -> Kernel:
    folder = _code_folder(Path(function.__code__.co_filename).parent)
    if folder is None:
        return cast("Kernel", numba.njit(**settings)(function))
    configured: Any = config
    before = configured.CACHE_DIR
    configured.CACHE_DIR = str(folder)
    try:
        return cast("Kernel", numba.njit(cache=True, **settings)(function))
    finally:
        configured.CACHE_DIR = before


@cache
def _code_folder(sources: Path) -> Path | None:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in (Path(__file__), *sorted({*sources.glob("*.py"), *_SHARED.glob("*.py")})):
        digest.update(source.read_bytes())
    folder = sources / "__pycache__" / f"compiled-{digest.hexdigest()[:16]}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        return folder
    return None
