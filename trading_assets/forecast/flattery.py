"""Whether forecasts by models that saw later rows do better than later rows will allow."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.forecast.class_rules import ClassRule, classify_rows
from trading_assets.forecast.comparison import LossRows, Resampling, compare_sets
from trading_assets.forecast.dataset import LabelGrid, Panel, place_rows
from trading_assets.forecast.purging import keep_labelled
from trading_assets.forecast.scores import row_log_losses

Array = NDArray[np.float64]

MOST_P_VALUE = 0.05


@dataclass(frozen=True, slots=True)
class PartLosses:
    """Losses of a part's rows whose labels are known within the window.

    Attributes
    ----------
    loss : float64 (n,)
        Log-loss under the forecast, nats.
    prior_loss : float64 (n,)
        Log-loss under the part's class shares, nats.
    sessions : int64 (n,)
        Position of each row's session.
    """

    loss: Array
    prior_loss: Array
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
        Of the gains, sessions weighing the same, with its 95 % interval.
    p_value : float
        One-sided: of so large a difference if there were none. Of few sessions interval and p are
        none.
    """

    cross_fitted_log_loss: float
    later_log_loss: float
    cross_fitted_gain: float
    later_gain: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None

    @property
    def is_flattered(self) -> bool:
        """Whether the difference is more than chance."""
        return self.difference > 0.0 and self.p_value is not None and self.p_value < MOST_P_VALUE

    def to_card(self) -> dict[str, float | None]:
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
    shares = np.tile(prior, (len(rows), 1))
    return PartLosses(row_log_losses(said, classes), row_log_losses(shares, classes), rows.session)


def compare_parts(
    crossed: Sequence[PartLosses], later: Sequence[PartLosses], horizon_bars: int, seed: int
) -> Flattery:
    """Compare parts predicted by models that saw later rows with parts predicted by earlier ones.

    Both are measured by what they gain on their own class shares, so that rows that are easier for
    everyone do not count; sessions are resampled in blocks for both at once.
    """
    one, other = _join(crossed), _join(later)
    found = compare_sets(
        LossRows(one.loss - one.prior_loss, one.sessions),
        LossRows(other.loss - other.prior_loss, other.sessions),
        Resampling(horizon_bars, seed),
    )
    return Flattery(
        cross_fitted_log_loss=float(one.loss.mean()),
        later_log_loss=float(other.loss.mean()),
        cross_fitted_gain=float((one.prior_loss - one.loss).mean()),
        later_gain=float((other.prior_loss - other.loss).mean()),
        difference=found.difference,
        low=_known(found.low),
        high=_known(found.high),
        p_value=_known(found.p_value),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _join(parts: Sequence[PartLosses]) -> PartLosses:
    return PartLosses(
        np.concatenate([part.loss for part in parts]),
        np.concatenate([part.prior_loss for part in parts]),
        np.concatenate([part.sessions for part in parts]),
    )
