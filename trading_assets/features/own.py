"""Features of a user's own, from a module that the declaration names."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trading_assets.bars.own_modules import import_own_module
from trading_assets.errors import DataError, UserError, shown
from trading_assets.features.adjustment import SymbolBars
from trading_assets.features.definition import FeatureDefinition

Array = NDArray[np.float64]
Formula = Callable[[SymbolBars], Array]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_GROUP = "own"


@dataclass(frozen=True, slots=True)
class OwnFeature:
    """A feature and the function that computes it."""

    definition: FeatureDefinition
    function: Formula

    def __call__(self, bars: SymbolBars) -> Array:
        """Return the unscaled values (T,), float64.

        Raises
        ------
        DataError
            If the function returns anything else than one number a bar.
        """
        values = np.asarray(self.function(bars), dtype=np.float64)
        if values.shape != bars.close.shape:
            msg = (
                f"feature {self.definition.name} returned values of shape {values.shape} for"
                f" {len(bars.close)} bars; expected one value a bar: correct its function"
            )
            raise DataError(msg)
        return values


def feature(
    *, lookback_bars: int, unit: str, formula: str, is_scaled: bool = True
) -> Callable[[Formula], OwnFeature]:
    """Make a feature of a function of one symbol's bars; its name is the function's.

    The function gets total-return prices in time order and returns one value a bar, nan where it is
    unknown. It may use bars up to each row only, which is checked whenever features are computed.

    Parameters
    ----------
    lookback_bars : int
        Bars, the row's own included, that decide a value.
    unit, formula : str
        For whoever reads the catalogue.
    is_scaled : bool
        Whether the value is given relative to its own recent past.
    """

    def made(function: Formula) -> OwnFeature:
        name = function.__name__
        if not _NAME.match(name):
            msg = (
                f"own feature was named {shown(name)}; expected small letters, digits and _, at"
                " most 40: rename its function"
            )
            raise UserError(msg)
        if lookback_bars < 1:
            msg = f"feature {name}: lookback_bars was {lookback_bars}; expected at least 1"
            raise UserError(msg)
        definition = FeatureDefinition(
            name,
            _GROUP,
            formula,
            unit,
            stated_lookback_bars=lookback_bars,
            is_scaled=is_scaled,
        )
        return OwnFeature(definition, function)

    return made


@cache
def own_features(module: str) -> dict[str, OwnFeature]:
    """Return the features that a module defines, by name, in the order of their definition.

    Raises
    ------
    UserError
        If the module cannot be imported, or defines none.
    """
    members = vars(import_own_module(module, "features module")).values()
    found = {member.definition.name: member for member in members if isinstance(member, OwnFeature)}
    if not found:
        msg = (
            f"features module {module} defines no feature; expected functions decorated by"
            " trading_assets.features.own.feature"
        )
        raise UserError(msg)
    return found
