"""What moved forecasts: integrated gradients of the served model, by feature and by age of the bar.

Whatever serves is explained as it serves: the network and the linear gate by their gradients, trees
by their steps. The prior says the same of every row, and nothing moves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.calibration import log_probabilities
from trading_assets.forecast.candidates import GateCandidate
from trading_assets.forecast.dataset import Rows, gather_windows
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.gates.boosting import BoostingGate
from trading_assets.forecast.gates.logistic import LogisticGate
from trading_assets.forecast.gates.tree_paths import attribute_trees
from trading_assets.forecast.networks.serving import NetworkEnsemble
from trading_assets.forecast.predictions import Predictions
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast.served_function import OUTPUTS, LogisticFunction, NetworkFunction
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.transforms import FoldTransforms
from trading_assets.integrated_gradients import (
    COMPLETENESS_TOLERANCE,
    Attributions,
    integrate_gradients,
)

Array = NDArray[np.float64]
Values = NDArray[np.float32]

# Rows that are explained, evenly over a window: neighbours' labels overlap anyway.
MOST_ROWS = 150

# Near what is asked of the whole: rectified units have many kinks.
_NETWORK_TOLERANCE = 0.8 * COMPLETENESS_TOLERANCE


@dataclass(frozen=True, slots=True)
class ForecastAttributions:
    """What features add to forecasts, from a bar of train means to the windows that were served.

    Attributes
    ----------
    symbols : tuple of str
        Of each of n rows.
    sessions : datetime64[D] (n,)
        Sessions at whose close they were forecast.
    features : tuple of str
        F features; the mask of a feature counts as the feature.
    by_feature : float64 (n, 2, F)
        Added to the log-odds of a rise against a fall, and to the mean scaled return.
    by_age : float64 (n, 2, window_bars)
        The same by the age of the bar, the row's own first.
    said, at_baseline : float64 (n, 2)
        Both as served, and what they are where each bar of a window is of train means.
    completeness_error : float
        Largest remainder over the mean absolute change.
    form_gap : float
        Largest difference between what was differentiated and what serves.
    """

    symbols: tuple[str, ...]
    sessions: NDArray[np.datetime64]
    features: tuple[str, ...]
    by_feature: Array
    by_age: Array
    said: Array
    at_baseline: Array
    completeness_error: float
    form_gap: float


def attribute_forecasts(
    forecaster: Forecaster,
    tables: ForecastTables,
    sessions: Sequence[date],
    most_rows: int = MOST_ROWS,
) -> ForecastAttributions:
    """Return what each feature adds to the forecasts of sessions.

    The baseline is what the models see on a bar on which each feature has the mean that it had in
    the train rows: what is usual adds nothing.

    Parameters
    ----------
    forecaster : Forecaster
        What served.
    tables : ForecastTables
        Features with the window before the first session.
    sessions : sequence of date
        Sessions that were forecast, oldest first.
    most_rows : int
        Of more rows so many are explained, evenly spread.

    Raises
    ------
    DataError
        If features are missing or not finite.
    """
    panel = forecaster.full_panel(tables)
    rows = _spread(forecaster.rows_to_serve(panel, sessions), most_rows)
    transforms = forecaster.models.transforms
    inputs = transforms.apply(panel.values)
    windows = gather_windows(inputs, rows, forecaster.window_bars).numpy()
    with one_seeded_thread(0):
        found = _attribute(forecaster, windows)
        served = _outputs(forecaster.say(inputs, rows))
    by_column = np.zeros((len(rows), len(OUTPUTS), len(transforms.names), windows.shape[2]))
    n_bars = found.contributions.shape[-1]
    by_column[..., windows.shape[2] - n_bars :] = _by_column(
        transforms, found.contributions, _standard(transforms, panel.values, rows, n_bars)
    )
    return ForecastAttributions(
        symbols=tuple(panel.symbols[symbol] for symbol in rows.symbol),
        sessions=panel.sessions[rows.session],
        features=transforms.names,
        by_feature=by_column.sum(axis=3),
        by_age=by_column.sum(axis=2)[..., ::-1],
        said=found.outputs,
        at_baseline=found.at_baseline,
        completeness_error=found.completeness_error,
        form_gap=float(np.abs(found.outputs - served).max(initial=0.0)),
    )


def _attribute(forecaster: Forecaster, windows: Values) -> Attributions:
    """Return contributions (n, 2, I, bars): of all bars of windows, or of the last one."""
    model, temperature = forecaster.models.served, forecaster.temperature
    mean_bar = forecaster.models.transforms.mean_bar()
    if isinstance(model, NetworkEnsemble):
        baseline = np.repeat(mean_bar[:, None], windows.shape[2], axis=1)
        function = NetworkFunction(model, temperature)
        return integrate_gradients(function, windows, baseline, tolerance=_NETWORK_TOLERANCE)
    assert isinstance(model, GateCandidate)
    last, usual = windows[:, :, -1].astype(np.float64), mean_bar.astype(np.float64)
    gate = model.gate
    if isinstance(gate, LogisticGate):
        found = integrate_gradients(LogisticFunction(gate, temperature), last, usual)
    elif isinstance(gate, BoostingGate):
        found = _attribute_boosting(gate, last, usual, temperature)
    else:
        said = _outputs(gate.predict(last), temperature)
        found = Attributions(np.zeros((*said.shape, last.shape[1])), said, said)
    return Attributions(found.contributions[..., None], found.outputs, found.at_baseline)


def _attribute_boosting(
    gate: BoostingGate, last: Array, usual: Array, temperature: float
) -> Attributions:
    classes = attribute_trees(gate.classes, last, usual)
    mean = attribute_trees(gate.mean, last, usual)[:, 0]
    at_usual = np.tile(usual, (len(last), 1))
    return Attributions(
        np.stack([(classes[:, 2] - classes[:, 0]) / temperature, mean], axis=1),
        _outputs(gate.predict(last), temperature),
        _outputs(gate.predict(at_usual), temperature),
    )


def _outputs(said: Predictions, temperature: float = 1.0) -> Array:
    logs = log_probabilities(said.probabilities)
    return np.stack([(logs[:, 2] - logs[:, 0]) / temperature, said.mean], axis=1)


def _by_column(transforms: FoldTransforms, contributions: Array, standard: Array) -> Array:
    """Return contributions (n, 2, F, bars) of columns from those of inputs (n, 2, I, bars)."""
    n_rows, n_outputs, _, n_bars = contributions.shape
    values = contributions[:, :, : contributions.shape[2] - transforms.n_masks]
    if transforms.components is not None:
        # Components are linear in the columns: each column has its share of a component's move.
        parts = transforms.components.matrix[None, :, :, None] * standard[:, None]
        moved = parts.sum(axis=2, keepdims=True)
        shares = np.divide(parts, moved, out=np.zeros_like(parts), where=moved != 0.0)
        values = np.einsum("nokb,nkcb->nocb", values, shares)
    found = np.zeros((n_rows, n_outputs, len(transforms.names), n_bars))
    found[:, :, np.flatnonzero(transforms.is_known)] = values
    masks = contributions[:, :, contributions.shape[2] - transforms.n_masks :]
    found[:, :, np.flatnonzero(transforms.is_masked)] += masks
    return found


def _standard(transforms: FoldTransforms, values: Values, rows: Rows, n_bars: int) -> Array:
    ages = rows.session[:, None] - np.arange(n_bars)[::-1]
    standard = transforms.standardise(values).astype(np.float64)
    return standard[rows.symbol[:, None], :, ages].swapaxes(1, 2)


def _spread(rows: Rows, most: int) -> Rows:
    if len(rows) <= most:
        return rows
    kept = np.unique(np.linspace(0, len(rows) - 1, most).round().astype(np.int64))
    return Rows(rows.symbol[kept], rows.session[kept])
