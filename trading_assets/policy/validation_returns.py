"""What the seeds of an agent earned on the validation days, as one series."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.windows import WindowLike
from trading_assets.policy.ensemble import ValidationTrack
from trading_assets.policy.fold import TrainingTables
from trading_assets.simulation.core import Floats


def validation_returns(
    tables: TrainingTables, window: WindowLike, tracks: Mapping[int, ValidationTrack]
) -> tuple[NDArray[np.datetime64], Floats]:
    """Return sessions, datetime64[D] (T,), and the mean net return of the seeds, float64 (T,).

    Known at the close of each session. The first validation day decides what the second one earns
    and earns nothing itself.

    Parameters
    ----------
    tables : TrainingTables
        What was trained on.
    window : WindowLike
        Training and validation days.
    tracks : mapping of int to ValidationTrack
        By seed, at least one.
    """
    days = tables.bars["session"].unique().sort()
    within = days.filter(days.is_between(window.validation_start, window.train_end))
    returns = np.mean([track.returns for track in tracks.values()], axis=0)
    return within.to_numpy().astype("datetime64[D]")[1:], returns
