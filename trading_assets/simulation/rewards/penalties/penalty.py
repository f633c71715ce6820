"""What every penalty is given and gives."""

from collections.abc import Mapping
from typing import Protocol

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats


class Penalty(Protocol):
    """Charges K books for a bar."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the trackers it reads."""
        ...

    def charge(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return what is charged, float64 (K,), as fractions of equity or of the notional.

        Parameters
        ----------
        bar : PaidBar
            The bar.
        before, after : mapping of str to float64 (K, n_state)
            States of the trackers it needs, before and after the bar.
        """
        ...
