"""Modules of a user's own, which a declaration names."""

import importlib
import traceback
from pathlib import Path
from types import ModuleType

from trading_assets.errors import UserError


def import_own_module(name: str, what: str) -> ModuleType:
    """Return the module `name`, which may do anything while it is imported.

    Raises
    ------
    UserError
        If it cannot be imported: `what` it is for, the module, the error and where it arose.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        if not isinstance(error, ImportError | SyntaxError):
            reason = f"{type(error).__name__}: {reason}"
        frame = traceback.extract_tb(error.__traceback__)[-1]
        # Where a module is not found or is no Python, the last frame is the import system's.
        is_own = not frame.filename.startswith("<") and Path(frame.filename) != Path(__file__)
        place = f" in {frame.filename} line {frame.lineno}" if is_own else ""
        msg = (
            f"{what} {name} cannot be imported ({reason}{place}); install its package, put its"
            " folder on PYTHONPATH, or correct the module"
        )
        raise UserError(msg) from error
