"""Units that amounts are rounded to, and what declared costs are as numbers of the core."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import TERM_FIELDS
from trading_assets.strategy import CostsSpec

Floats = NDArray[np.float64]

SHARE_DECIMALS = 9
USD_DECIMALS = 6
SESSIONS_PER_YEAR = 252
_BPS = 1e-4


def terms_of(costs: CostsSpec, *, is_long_only: bool, notional_usd: float | None) -> Floats:
    """Return what trading costs as one row of the core's terms, float64 (1, TERM_FIELDS).

    Parameters
    ----------
    costs : CostsSpec
        Costs, latency, lot, tick and share of a bar's volume.
    is_long_only : bool
        Whether books may neither borrow nor go short.
    notional_usd : float, optional
        Base of weights under constant notional; absent, the base is the equity.
    """
    per_bar = _BPS / SESSIONS_PER_YEAR
    terms = np.array(
        [
            [
                (costs.fee_bps + costs.half_spread_bps) * _BPS,
                costs.impact_coefficient,
                costs.quadratic_lambda,
                costs.financing_bps_per_year * per_bar,
                costs.borrow_bps_per_year * per_bar,
                costs.lot_shares,
                costs.tick_usd,
                costs.max_participation,
                0.0 if notional_usd is None else notional_usd,
                float(is_long_only),
                float(costs.latency_bars),
            ]
        ]
    )
    assert terms.shape == (1, TERM_FIELDS)
    return terms


def require_finite(equity: Floats) -> None:
    """Refuse books whose equity is nan or infinite.

    Raises
    ------
    DataError
        Saying what was missing.
    """
    if not np.isfinite(equity).all():
        msg = (
            "equity became nan; expected a finite price for each held symbol and, with an impact"
            " cost, a known volatility and dollar volume for each traded one: trade a symbol only"
            " from its second bar on"
        )
        raise DataError(msg)
