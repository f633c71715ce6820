"""What a drawdown takes: half the size, then all new risk, then everything.

The state is carried from close to close, and a rung once reached is kept: `half_size` until equity
is at its highest again, `close_only` and `flat` until a named person re-arms trading. Money is
Decimal. Knows neither orders nor storage: who calls it keeps the state and trips the kill switch.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError, shown
from trading_assets.sizing_specs import DrawdownLadderSpec

Rung = Literal["full_size", "half_size", "close_only", "flat"]

RUNGS: tuple[Rung, ...] = ("full_size", "half_size", "close_only", "flat")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DrawdownState:
    """How far down the ladder an account is.

    Attributes
    ----------
    peak_equity_usd : Decimal
        Highest equity of a close since the start or the last re-arming; positive.
    rung : {"full_size", "half_size", "close_only", "flat"}
        What is allowed.
    rearmed_by : str
        Who re-armed last; empty before.

    Raises
    ------
    DataError
        If the peak is not finite and positive, or there is no such rung.
    """

    peak_equity_usd: Decimal
    rung: Rung = "full_size"
    rearmed_by: str = ""

    def __post_init__(self) -> None:
        _require_positive("peak equity", self.peak_equity_usd)
        _require_rung(self.rung)

    @property
    def has_killed(self) -> bool:
        """Whether the last rung was reached, which trips the kill switch."""
        return self.rung == "flat"

    def drawdown_at(self, equity_usd: Decimal) -> Decimal:
        """Return the loss from the peak as a fraction of it, 0 at or above it."""
        return max(_ZERO, 1 - equity_usd / self.peak_equity_usd)


def advance_drawdown(
    state: DrawdownState, equity_usd: Decimal, spec: DrawdownLadderSpec
) -> DrawdownState:
    """Return the state after a close.

    Parameters
    ----------
    state : DrawdownState
        Before the close.
    equity_usd : Decimal
        At the close; finite, and negative where more than everything was lost.
    spec : DrawdownLadderSpec
        The rungs.

    Raises
    ------
    DataError
        If equity is not finite.
    """
    _require_finite(equity_usd)
    if equity_usd >= state.peak_equity_usd:
        rung: Rung = "full_size" if state.rung == "half_size" else state.rung
        return DrawdownState(equity_usd, rung, state.rearmed_by)
    reached = _rung_at(state.drawdown_at(equity_usd), spec)
    lowest = RUNGS[max(RUNGS.index(state.rung), RUNGS.index(reached))]
    return DrawdownState(state.peak_equity_usd, lowest, state.rearmed_by)


def rearm_ladder(state: DrawdownState, equity_usd: Decimal, person: str) -> DrawdownState:
    """Return the state once a named person lets trading go on: drawdowns count from here.

    Parameters
    ----------
    state : DrawdownState
        On some rung below full size; who re-armed before is replaced.
    equity_usd : Decimal
        Now; positive.
    person : str
        Who answers for it.

    Raises
    ------
    DataError
        If nobody is named, equity is not finite and positive, or there is nothing to re-arm, since
        that would only forget the peak.
    """
    if state.rung == "full_size":
        msg = (
            "rung was full_size; expected half_size, close_only or flat: there is nothing to re-arm"
        )
        raise DataError(msg)
    if not person.strip():
        msg = f"person was {person!r}; expected the name of who lets trading go on"
        raise DataError(msg)
    _require_positive("equity", equity_usd)
    return DrawdownState(equity_usd, rearmed_by=person.strip())


def move_cash(state: DrawdownState, equity_usd: Decimal, paid_in_usd: Decimal) -> DrawdownState:
    """Return the state after cash was paid in or out: the drawdown is what it was.

    Parameters
    ----------
    state : DrawdownState
        Before.
    equity_usd : Decimal
        Before the payment; positive.
    paid_in_usd : Decimal
        Negative where it was paid out.

    Raises
    ------
    DataError
        If an amount is not finite, or no equity is left before or after the payment.
    """
    _require_positive("equity", equity_usd)
    _require_positive("equity after the payment", equity_usd + paid_in_usd)
    peak = state.peak_equity_usd * (equity_usd + paid_in_usd) / equity_usd
    return DrawdownState(peak, state.rung, state.rearmed_by)


def limit_to_rung(
    weights: NDArray[np.float64], held: NDArray[np.float64], rung: Rung
) -> NDArray[np.float64]:
    """Return the target weights that a rung allows.

    Parameters
    ----------
    weights : float64 (N,)
        Wanted.
    held : float64 (N,)
        Held now, drifted with prices.
    rung : {"full_size", "half_size", "close_only", "flat"}
        Half of what is wanted; no weight larger than held or of another sign; or nothing.

    Raises
    ------
    DataError
        If the arrays differ in shape, a weight is not finite, or there is no such rung.
    """
    _require_rung(rung)
    if weights.shape != held.shape or not (np.isfinite(weights) & np.isfinite(held)).all():
        msg = (
            f"weights wanted and held had the shapes {weights.shape} and {held.shape}; expected"
            " one finite number of each for every symbol"
        )
        raise DataError(msg)
    if rung == "full_size":
        return weights
    if rung == "half_size":
        return weights / 2.0
    if rung == "flat":
        return np.zeros_like(weights)
    return np.clip(weights, np.minimum(held, 0.0), np.maximum(held, 0.0))


def _rung_at(drawdown: Decimal, spec: DrawdownLadderSpec) -> Rung:
    reached: Rung = "full_size"
    for rung in RUNGS[1:]:
        if drawdown >= Decimal(repr(float(getattr(spec, rung)))):
            reached = rung
    return reached


def _require_rung(rung: str) -> None:
    if rung not in RUNGS:
        msg = f"rung was {shown(rung)}; expected one of {', '.join(RUNGS)}"
        raise DataError(msg)


def _require_finite(equity_usd: Decimal) -> None:
    if not equity_usd.is_finite():
        msg = f"equity was {equity_usd} USD; expected a finite number: reconcile the account first"
        raise DataError(msg)


def _require_positive(name: str, amount_usd: Decimal) -> None:
    if not (amount_usd.is_finite() and amount_usd > 0):
        msg = f"{name} was {amount_usd} USD; expected a finite amount above 0"
        raise DataError(msg)
