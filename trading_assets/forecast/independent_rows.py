"""How many independent observations rows carry: labels overlap, and symbols move alike."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def count_independent(values: Array, session: Index, horizon_bars: int) -> float:
    """Return the independent observations of rows, at least 1.

    Labels over h bars overlap, so n rows tell about as much as n / h; and rows of one session tell
    less by the design effect, `sum over sessions of (sum of residuals)^2 / sum of residuals^2`: 1
    where symbols move apart, and their number where they move as one.

    Source: Kish, Survey Sampling (1965); Moulton, Random Group Effects, J. Econometrics 32 (1986).

    Parameters
    ----------
    values : float64 (n,)
        What is averaged, such as scaled returns, or whether a class was named.
    session : int64 (n,)
        Session of each row, any numbers.
    horizon_bars : int
        Bars that a label looks ahead.
    """
    _, place, rows = np.unique(session, return_inverse=True, return_counts=True)
    residuals = values - values.mean()
    total = float(residuals @ residuals)
    most = float(rows @ rows) / len(values)
    effect = most
    if total > 0.0:
        sums = np.bincount(place, weights=residuals)
        effect = min(max(1.0, float(sums @ sums) / total), most)
    return max(1.0, len(values) / (horizon_bars * effect))
