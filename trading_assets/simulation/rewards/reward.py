"""What every reward is given and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import (
    BASE,
    COSTS,
    DIVIDENDS,
    FINANCING,
    GAIN,
    PNL,
    POSITION_WEIGHT,
    TRADE_COST,
    TRADED,
)
from trading_assets.simulation.terms import Floats

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PaidBar:
    """One bar of K books, as a reward sees it.

    Attributes
    ----------
    outcome : float64 (K, OUTCOME_FIELDS)
        What the bar did to the books.
    fills : float64 (K, FILL_FIELDS, N)
        What was filled.
    rows : int64 (K,)
        Rows at whose close was decided.
    covariance : float64 (T or 1, N, N)
        Covariance of a bar's returns known at each row's close.
    confidence : float64 (T, N), optional
        What the forecasts shown at each row's close say of a rise, in [-1, 1].
    """

    outcome: Floats
    fills: Floats
    rows: Rows
    covariance: Floats
    confidence: Floats | None = None

    @property
    def net_return(self) -> Floats:
        """Return after all costs as a fraction of equity or of the notional, float64 (K,)."""
        outcome = self.outcome
        gained = outcome[:, PNL] + outcome[:, DIVIDENDS]
        paid = outcome[:, COSTS] + outcome[:, FINANCING]
        return (gained - paid) / outcome[:, BASE]

    @property
    def cost(self) -> Floats:
        """Trading costs as a fraction of equity or of the notional, float64 (K,)."""
        return self.outcome[:, COSTS] / self.outcome[:, BASE]

    @property
    def financing(self) -> Floats:
        """Interest and borrow fees as a fraction of equity or of the notional, float64 (K,)."""
        return self.outcome[:, FINANCING] / self.outcome[:, BASE]

    @property
    def traded(self) -> Floats:
        """Traded value as a fraction of equity or of the notional, float64 (K,)."""
        return self.outcome[:, TRADED] / self.outcome[:, BASE]

    @property
    def position_weight(self) -> Floats:
        """Positions that earned the bar, as fractions of the base, float64 (K, N)."""
        return self.fills[:, POSITION_WEIGHT]

    @property
    def gain(self) -> Floats:
        """What each position earned before costs, as a fraction of the base, float64 (K, N)."""
        return self.fills[:, GAIN] / self.outcome[:, [BASE]]

    @property
    def trade_cost(self) -> Floats:
        """What each trade cost, as a fraction of the base, float64 (K, N)."""
        return self.fills[:, TRADE_COST] / self.outcome[:, [BASE]]

    @property
    def volatility(self) -> Floats:
        """Standard deviation of each symbol's return known at the decision, float64 (K, N)."""
        rows = self.rows if len(self.covariance) > 1 else np.zeros_like(self.rows)
        return np.sqrt(np.einsum("tii->ti", self.covariance)[rows])

    @property
    def mean_volatility(self) -> Floats:
        """Mean volatility of the symbols that have one, float64 (K,); 1 where none has."""
        volatility = self.volatility
        count = (volatility > 0.0).sum(axis=1)
        return np.where(count > 0, volatility.sum(axis=1) / np.maximum(count, 1), 1.0)

    @property
    def known_confidence(self) -> Floats:
        """Confidence in each symbol known at the decision, float64 (K, N).

        Raises
        ------
        DataError
            If the policy is shown no forecasts.
        """
        if self.confidence is None:
            msg = (
                "the reward reads the confidence of forecasts and the policy is shown none;"
                " expected policy.uses_forecasts true"
            )
            raise DataError(msg)
        return self.confidence[self.rows]


class Reward(Protocol):
    """Pays K books for a bar."""

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1 a bar, as returns over their deviation are.

        Else they are fractions of equity or of the notional, and learners are shown them over the
        deviation of the market's returns.
        """
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the trackers it reads; a policy has to see them, or the task is not Markov."""
        ...

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,).

        Parameters
        ----------
        bar : PaidBar
            The bar; its arrays are written anew at the next one.
        before, after : mapping of str to float64 (K, n_state)
            States of the trackers it needs, before and after the bar.
        """
        ...
