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
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_SETTINGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# Sums may be taken in another order and products joined with them: the last bits then depend on the
# processor, which machine code is made for, and on nothing else.
_REORDERING: dict[str, Any] = {**_SETTINGS, "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
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


def reordering(function: Kernel) -> Kernel:
    """Compile a function that entry points call, with sums in whatever order is quickest."""
    return cast("Kernel", numba.njit(**_REORDERING)(function))


def reordering_inlined(function: Kernel) -> Kernel:
    """Compile a function as a part of each that calls it, with sums in any order."""
    return cast("Kernel", numba.njit(inline="always", **_REORDERING)(function))


def reordering_entry_point(function: Kernel) -> Kernel:
    """Compile a function as `entry_point` does, with sums in whatever order is quickest."""
    return _entry_point(function, _REORDERING)


def _fetch_ahead(_: Any, array: Any, index: Any) -> Any:  # noqa: ANN401  numba's own types

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        array_type, index_type = signature.args
        data = context.make_array(array_type)(context, builder, arguments[0]).data
        place = context.cast(builder, arguments[1], index_type, types.intp)
        address = builder.bitcast(builder.gep(data, [place]), cgutils.voidptr_t)
        number = ir.IntType(32)
        wanted = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, wanted, "llvm.prefetch.p0i8")
        # To be read, kept in the nearest cache, data.
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


# Asks for the line of memory that an element of a contiguous array is in, counted along all of it,
# and goes on meanwhile. An index beyond the array asks for what nobody reads, which does no harm.
fetch_ahead = cast("Callable[[NDArray[Any], int], None]", intrinsic(_fetch_ahead))


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
