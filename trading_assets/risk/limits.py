"""Limits on target weights, as a strategy declares them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from trading_assets.errors import DataError, DeclarationError
from trading_assets.policy_specs import PolicySpec
from trading_assets.risk_specs import RiskSpec


@dataclass(frozen=True, slots=True)
class WeightLimits:
    """Limits on target weights; None where there is none.

    Attributes
    ----------
    max_weight : float
        Largest absolute weight of one symbol.
    max_gross : float
        Largest sum of absolute weights.
    is_long_only : bool
        Whether negative weights are forbidden.
    min_net, max_net : float or None
        Least and largest sum of weights.
    max_sector_gross : float or None
        Largest sum of absolute weights in a sector.
    max_turnover : float or None
        Largest sum of absolute differences from the weights held.
    sectors : tuple of int
        Number of each symbol's sector, in order of symbols; empty without `max_sector_gross`.
    """

    max_weight: float
    max_gross: float
    is_long_only: bool
    min_net: float | None = None
    max_net: float | None = None
    max_sector_gross: float | None = None
    max_turnover: float | None = None
    sectors: tuple[int, ...] = ()

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "WeightLimits":
        """Return the limits whose fields a card of JSON values holds.

        Raises
        ------
        DataError
            If a field is missing or unknown.
        """
        # A card without a field is of a policy that was trained without that limit.
        expected = {field.name for field in fields(cls)}
        if {*card} != expected:
            differing = ", ".join(sorted({*card} ^ expected))
            msg = (
                f"the card's limits differ from those known in {differing[:200]}; expected those of"
                " this version: restore the file or train again"
            )
            raise DataError(msg)
        values: dict[str, Any] = {**card, "sectors": tuple(card["sectors"])}
        return cls(**values)

    @property
    def is_closed_form(self) -> bool:
        """Whether box and gross are the only limits."""
        others = (self.min_net, self.max_net, self.max_sector_gross, self.max_turnover)
        return all(limit is None for limit in others)


def declared_limits(risk: RiskSpec, policy: PolicySpec, symbols: Sequence[str]) -> WeightLimits:
    """Return the weight limits that a strategy declares for symbols, in their order.

    A symbol that `sectors` does not name is a sector of its own.
    """
    has_sectors = risk.max_sector_gross is not None
    return WeightLimits(
        max_weight=risk.max_weight,
        max_gross=risk.max_gross,
        is_long_only=policy.position == "long_only",
        min_net=risk.min_net,
        max_net=risk.max_net,
        max_sector_gross=risk.max_sector_gross,
        max_turnover=risk.max_turnover,
        sectors=numbered_sectors(risk, symbols) if has_sectors else (),
    )


def numbered_sectors(risk: RiskSpec, symbols: Sequence[str]) -> tuple[int, ...]:
    """Return the number of each symbol's sector; one without a name is a sector of its own."""
    numbers: dict[tuple[str, bool], int] = {}
    named = risk.sectors
    keys = [(named[s], True) if s in named else (s, False) for s in symbols]
    return tuple(numbers.setdefault(key, len(numbers)) for key in keys)


def require_feasible(limits: WeightLimits, n_symbols: int) -> None:
    """Refuse limits that no weights of so many symbols keep.

    Parameters
    ----------
    limits : WeightLimits
        Limits without turnover, which gives way to the others.
    n_symbols : int
        Symbols that may be held.

    Raises
    ------
    DeclarationError
        Naming the limit that cannot be kept.
    """
    room = _largest_net(limits, n_symbols)
    least = -math.inf if limits.min_net is None else limits.min_net
    most = math.inf if limits.max_net is None else limits.max_net
    if least > most:
        msg = f"min_net {least:g} is above max_net {most:g}; expected it at or below"
        raise DeclarationError(msg)
    lowest = 0.0 if limits.is_long_only else -room
    reachable = (
        f"{n_symbols} symbols reach net weights from {lowest:g} to {room:g} within max_weight,"
        " max_gross and max_sector_gross"
    )
    if least > room:
        msg = f"min_net was {least:g}; {reachable}: lower min_net or raise one of these"
        raise DeclarationError(msg)
    if most < lowest:
        msg = f"max_net was {most:g}; {reachable}: raise max_net or one of these"
        raise DeclarationError(msg)


def _largest_net(limits: WeightLimits, n_symbols: int) -> float:
    if limits.max_sector_gross is None:
        return min(n_symbols * limits.max_weight, limits.max_gross)
    counts = [limits.sectors.count(sector) for sector in set(limits.sectors)]
    together = sum(min(n * limits.max_weight, limits.max_sector_gross) for n in counts)
    return min(together, limits.max_gross)


def require_declared_limits(risk: RiskSpec, policy: PolicySpec, universe: Sequence[str]) -> None:
    """Refuse limits that cannot be meant for a universe.

    Raises
    ------
    DeclarationError
        If a sector is given to a symbol outside the universe, or no weights keep the limits.
    """
    strangers = sorted({*risk.sectors} - {*universe})
    if strangers:
        msg = (
            f"sectors names {', '.join(strangers)}, not in the universe; expected only its symbols"
        )
        raise DeclarationError(msg)
    require_feasible(declared_limits(risk, policy, universe), len(universe))
