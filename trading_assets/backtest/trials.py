"""What was tried on a data set, as the statistics see it: a series of net returns each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.metrics import Series

Days = NDArray[np.datetime64]


@dataclass(frozen=True, eq=False, slots=True)
class TrialSeries:
    """Net returns of one counted configuration over the windows it was traded in.

    Attributes
    ----------
    label : str
        What the report calls it, such as `us_equities/ppo`.
    sessions : datetime64[D] (T,)
        Sessions, ascending; none where no returns were kept.
    returns : float64 (T,)
        Net simple returns, one a session.
    """

    label: str
    sessions: Days
    returns: Series

    def over(self, sessions: Days) -> Series | None:
        """Return the returns of some ascending sessions; None unless it has each of them."""
        place = np.searchsorted(self.sessions, sessions)
        if not len(sessions) or place[-1] >= len(self.sessions):
            return None
        return self.returns[place] if np.array_equal(self.sessions[place], sessions) else None


def chain_windows(label: str, windows: Sequence[tuple[Days, Series]]) -> TrialSeries:
    """Return the series of a configuration from its windows; of a session in two, the first counts.

    Parameters
    ----------
    label : str
        What the report calls it.
    windows : sequence of (datetime64[D] (T,), float64 (T,))
        Sessions and net returns of each window; none gives a series without sessions.
    """
    days = np.concatenate([np.empty(0, "datetime64[D]"), *(own for own, _ in windows)])
    returns = np.concatenate([np.empty(0), *(own for _, own in windows)])
    sessions, first = np.unique(days, return_index=True)
    return TrialSeries(label, sessions.astype("datetime64[D]"), returns[first])
