"""What features were worth to forecasts out of sample: the log-loss without them."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from trading_assets.block_permutation import (
    REPETITIONS,
    Importance,
    measure_importance,
    shuffle_blocks,
)
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.class_rules import classify_rows
from trading_assets.forecast.dataset import Panel
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.scores import row_log_losses
from trading_assets.forecast.tables import ForecastTables

Array = NDArray[np.float64]


def measure_features(
    forecaster: Forecaster,
    tables: ForecastTables,
    sessions: Sequence[date],
    shuffled: Mapping[str, Sequence[str]],
) -> dict[str, Importance]:
    """Return by how much the log-loss of sessions rises without features, nats.

    Features are permuted in blocks over all bars that the windows of these sessions hold; a value
    stays where it, or the one that would take its place, is unknown. Each session counts the same,
    by the mean of its rows.

    Parameters
    ----------
    forecaster : Forecaster
        What served.
    tables : ForecastTables
        Features with the window before the first session, and the bars that labels end on.
    sessions : sequence of date
        Sessions that were forecast; rows whose label has not ended are left out.
    shuffled : mapping of str to sequence of str
        Features that are permuted together, by a name.

    Returns
    -------
    dict
        By name; empty if no label has ended.

    Raises
    ------
    DataError
        If the window has no two blocks, or features are missing or not finite.
    """
    panel = forecaster.full_panel(tables)
    rows = forecaster.rows_to_serve(panel, sessions)
    spec = forecaster.spec
    labels = label_panel(panel, tables.bars, tables.actions, spec)
    rows = rows.where(np.isfinite(labels.scaled_return[rows.symbol, rows.session]))
    if not len(rows):
        return {}
    classes = classify_rows(forecaster.class_rule, labels, rows, spec.horizon_bars).classes
    bars = np.arange(rows.session.min() - forecaster.window_bars + 1, rows.session.max() + 1)
    _, place, count = np.unique(rows.session, return_inverse=True, return_counts=True)

    def lose(values: NDArray[np.float32]) -> Array:
        inputs = forecaster.models.transforms.apply(values)
        losses = row_log_losses(forecaster.say(inputs, rows).probabilities, classes)
        return np.bincount(place, weights=losses) / count

    own = lose(panel.values)
    return {
        name: measure_importance(
            np.stack(
                [
                    lose(shuffle_features(forecaster, panel, bars, features, repetition)) - own
                    for repetition in range(REPETITIONS)
                ]
            )
        )
        for name, features in shuffled.items()
    }


def shuffle_features(
    forecaster: Forecaster,
    panel: Panel,
    bars: NDArray[np.int64],
    features: Sequence[str],
    repetition: int,
) -> NDArray[np.float32]:
    """Return a panel's values with features permuted in blocks of `bars`; what is null stays."""
    source = shuffle_blocks(len(bars), repetition)
    names = forecaster.models.transforms.names
    values = panel.values.copy()
    for feature in features:
        column = values[:, names.index(feature)]
        own = column[:, bars]
        other = own[:, source]
        column[:, bars] = np.where(np.isnan(own) | np.isnan(other), own, other)
    return values
