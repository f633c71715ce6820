"""Imports the modules of a user's own that a strategy names under `policy.modules`."""

from collections.abc import Sequence

from trading_assets.bars.own_modules import import_own_module
from trading_assets.errors import DeclarationError, UserError


def import_declared_modules(modules: Sequence[str]) -> None:
    """Import modules in order; what they register is known from then on.

    Raises
    ------
    DeclarationError
        If one cannot be imported.
    """
    for module in modules:
        try:
            import_own_module(module, "policy module")
        except UserError as error:
            raise DeclarationError(str(error)) from error
