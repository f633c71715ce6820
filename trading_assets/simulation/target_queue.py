"""Targets that are decided and wait for their bar, where orders take more than one."""

from trading_assets.simulation.terms import Floats


class TargetQueue:
    """Targets of books between their decision and their fill.

    Parameters
    ----------
    latency_bars : int
        Bars from the close of a decision to the open that fills it; 1 lets nothing wait.
    """

    def __init__(self, latency_bars: int) -> None:
        self._waiting: list[Floats | None] = [None] * (latency_bars - 1)

    @property
    def newest(self) -> Floats | None:
        """Shares decided last of those that wait, float64 (K, N); None where nothing waits."""
        return self._waiting[-1] if self._waiting else None

    def swap(self, decided: Floats, split_ratio: Floats) -> Floats | None:
        """Put in what was decided at a close, and take out what the next bar fills.

        Parameters
        ----------
        decided : float64 (K, N)
            Shares.
        split_ratio : float64 (N,)
            Splits of the next bar, which scale what goes on waiting.

        Returns
        -------
        float64 (K, N), optional
            Shares before the splits of the next bar; None until the first decision is due.
        """
        self._waiting.append(decided)
        due = self._waiting.pop(0)
        self._waiting = [None if t is None else t * split_ratio for t in self._waiting]
        return due
