"""Whether forecasts by models that saw later rows do better than later rows will allow."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.forecast.class_rules import ClassRule, classify_rows
from trading_assets.forecast.comparison import compare_gains
from trading_assets.forecast.dataset import LabelGrid, Panel, place_rows
from trading_assets.forecast.purging import keep_labelled

Array = NDArray[np.float64]

MOST_P_VALUE = 0.05


@dataclass(frozen=True, slots=True)
class PartLosses:
    """Losses of a part's rows whose labels are known within the window.

    Attributes
    ----------
    gain : float64 (n,)
        Log-loss under the part's class shares less that under its forecast, nats.
    loss : float64 (n,)
        Log-loss under the forecast, nats.
    sessions : int64 (n,)
        Position of each row's session.
    """

    gain: Array
    loss: Array
    sessions: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Flattery:
    """How much more forecasts gain on class shares when their models saw later rows.

    Attributes
    ----------
    cross_fitted_log_loss, later_log_loss : float
        Of rows predicted by models that saw later rows, and by models of earlier rows only.
    cross_fitted_gain, later_gain : float
        Mean gain on the class shares of each, nats.
    difference, low, high : float
        Of the gains, with its 95 % interval.
    p_value : float
        One-sided: of so large a difference if there were none.
    """

    cross_fitted_log_loss: float
    later_log_loss: float
    cross_fitted_gain: float
    later_gain: float
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def is_flattered(self) -> bool:
        """Whether the difference is more than chance."""
        return self.difference > 0.0 and self.p_value < MOST_P_VALUE

    def to_card(self) -> dict[str, float]:
        """Return the figures as JSON values."""
        return asdict(self)


def score_part(
    of_part: tuple[ClassRule, Array, int],
    panel: Panel,
    labels: LabelGrid,
    forecasts: pl.DataFrame,
) -> PartLosses:
    """Return the losses of a part's forecasts, where labels are known.

    Parameters
    ----------
    of_part : (ClassRule, float64 (3,), int)
        Class rule and class shares of the part's train rows, and the horizon in bars.
    panel, labels : Panel, LabelGrid
        Of the window.
    forecasts : DataFrame
        Table forecasts of the part.
    """
    placed = place_rows(panel, forecasts)
    rows = keep_labelled(labels, placed)
    is_kept = np.isfinite(labels.scaled_return[placed.symbol, placed.session])
    said = forecasts.select("p_down", "p_flat", "p_up").to_numpy().astype(np.float64)[is_kept]
    rule, prior, horizon = of_part
    classes = classify_rows(rule, labels, rows, horizon).classes
    loss = -np.log(np.maximum(said[np.arange(len(rows)), classes], 1e-12))
    return PartLosses(-np.log(np.maximum(prior[classes], 1e-12)) - loss, loss, rows.session)


def compare_parts(
    crossed: Sequence[PartLosses], later: Sequence[PartLosses], horizon_bars: int, seed: int
) -> Flattery:
    """Compare parts predicted by models that saw later rows with parts predicted by earlier ones.

    Both are measured by what they gain on their own class shares, so that rows that are easier for
    everyone do not count; sessions are resampled in blocks for both at once.
    """
    one, other = _join(crossed), _join(later)
    found = compare_gains(
        (one.gain, one.sessions), (other.gain, other.sessions), horizon_bars, seed
    )
    return Flattery(
        cross_fitted_log_loss=float(one.loss.mean()),
        later_log_loss=float(other.loss.mean()),
        cross_fitted_gain=float(one.gain.mean()),
        later_gain=float(other.gain.mean()),
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
    )


def _join(parts: Sequence[PartLosses]) -> PartLosses:
    return PartLosses(
        np.concatenate([part.gain for part in parts]),
        np.concatenate([part.loss for part in parts]),
        np.concatenate([part.sessions for part in parts]),
    )


