"""From predictions of scaled returns to rows of the table `forecasts`, with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.adaptive_limits import Limits, run
from trading_assets.forecast.class_rules import ClassRule, classify_rows
from trading_assets.forecast.conformal import interval
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.dataset import LabelGrid, Panel, Rows
from trading_assets.forecast.outcomes import Outcomes
from trading_assets.forecast.prediction_sets import abstains, prediction_sets
from trading_assets.forecast.predictions import Predictions
from trading_assets.schema import conform

Array = NDArray[np.float64]
Days = NDArray[np.datetime64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PredictedRows:
    """Rows of a panel and what was said of each."""

    rows: Rows
    said: Predictions


def read_outcomes(panel: Panel, labels: LabelGrid, rule: ClassRule, horizon_bars: int) -> Outcomes:
    """Return what came of every row of a panel that has a label, known when that ends."""
    symbol, session = np.nonzero(np.isfinite(labels.scaled_return))
    rows = Rows(symbol.astype(np.int64), session.astype(np.int64))
    return outcomes_of(panel, labels, rows, classify_rows(rule, labels, rows, horizon_bars).classes)


def outcomes_of(panel: Panel, labels: LabelGrid, rows: Rows, classes: np.ndarray) -> Outcomes:
    """Return what came of labelled rows of classes int64 (n,)."""
    names = np.array(panel.symbols)
    return Outcomes(
        symbol=names[rows.symbol].tolist(),
        session=panel.sessions[rows.session],
        scaled_return=labels.scaled_return[rows.symbol, rows.session],
        classes=classes,
        label_end=labels.label_end[rows.symbol, rows.session],
    )


def add_intervals(
    panel: Panel, predicted: PredictedRows, outcomes: Outcomes, state: ConformalState
) -> tuple[Limits, ConformalState]:
    """Return the rows' intervals and prediction sets, and the state after the last session.

    Rows up to the state's session get the limits that they were issued with. Outcomes that a
    session's close does not know change nothing about its intervals.

    Raises
    ------
    DataError
        If the state did not issue a session that is not after its own.
    """
    rows, said = predicted.rows, predicted.said
    names = np.array(panel.symbols)[rows.symbol]
    sessions = panel.sessions[rows.session]
    is_later = sessions > np.datetime64(state.session, "D")
    after, found = run(
        state, sessions[is_later], names[is_later].tolist(), said.where(is_later), outcomes
    )
    if is_later.all():
        return found, after
    issued = recall(state, sessions[~is_later], said.where(~is_later))
    return join_limits(is_later, found, issued), after


def recall(state: ConformalState, sessions: Days, said: Predictions) -> Limits:
    """Return the limits that forecasts of earlier sessions were issued with."""
    issued = {np.datetime64(each.session, "D"): each for each in state.issued}
    unknown = sorted({*sessions.tolist()} - {each.session for each in state.issued})
    if unknown:
        msg = (
            f"the forecast of {unknown[0]} was not issued by the state of {state.session}; expected"
            f" one of its last {len(issued)} sessions: forecast from the start"
        )
        raise DataError(msg)
    quantile = np.array([issued[day].quantile for day in sessions])
    threshold = np.array([issued[day].threshold for day in sessions])
    low, high = interval(said.mean, said.deviation, quantile)
    sets = prediction_sets(said.probabilities, threshold)
    return Limits(low, high, sets, abstains(sets))


def join_limits(is_first: Mask, first: Limits, second: Limits) -> Limits:
    """Return limits (n,) of which some are of the first and the others of the second."""
    joined: list[np.ndarray] = []
    for field in fields(Limits):
        one, other = getattr(first, field.name), getattr(second, field.name)
        values = np.empty(len(is_first), one.dtype)
        values[is_first], values[~is_first] = one, other
        joined.append(values)
    return Limits(*joined)


def tabulate(
    features: pl.DataFrame,
    panel: Panel,
    predicted: PredictedRows,
    limits: Limits,
    origin: tuple[str, str, int],
) -> pl.DataFrame:
    """Return the table `forecasts`.

    Parameters
    ----------
    features : DataFrame
        Table features, which the panel was built from; says when each row is known.
    panel : Panel
        Rows and their volatility, by which scaled returns become returns.
    predicted : PredictedRows
        Rows and predictions.
    limits : Limits
        Their intervals and sets.
    origin : (str, str, int)
        Window, model and the horizon in bars.
    """
    window, model, horizon_bars = origin
    rows, said = predicted.rows, predicted.said
    scale = panel.volatility[rows.symbol, rows.session] * np.sqrt(horizon_bars)
    keys = features.select("symbol", "session", "knowledge_time")[
        panel.table_row[rows.symbol, rows.session]
    ].get_columns()
    columns = stored_columns(said, limits, scale)
    return lay_out(keys, columns, limits, (window, model)).sort("symbol", "session")


def stored_columns(
    said: Predictions, limits: Limits, scale: Array
) -> dict[str, NDArray[np.float32]]:
    """Return `in_returns` as the table holds them, float32 (n,) by column."""
    columns = in_returns(said, (limits.low, limits.high), scale)
    return {name: value.astype(np.float32) for name, value in columns.items()}


def lay_out(
    keys: Sequence[pl.Series],
    columns: Mapping[str, NDArray[np.float32]],
    limits: Limits,
    origin: tuple[str, str],
) -> pl.DataFrame:
    """Return the table `forecasts` of rows in the order of their keys.

    Parameters
    ----------
    keys : sequence of Series
        symbol, session and knowledge_time of each row.
    columns : mapping of str to float32 (n,)
        What `stored_columns` returned.
    limits : Limits
        Prediction sets of the rows.
    origin : (str, str)
        Window and model.
    """
    window, model = origin
    count = len(limits.sets)
    # Put together as it is: expressions would wait for threads, which takes longer than the rows.
    table = [
        *keys,
        pl.Series("window", [window] * count, pl.String),
        pl.Series("model", [model] * count, pl.String),
        *(pl.Series(name, value) for name, value in columns.items()),
        pl.Series("prediction_set", limits.sets, pl.Int8),
        pl.Series("abstains", limits.abstains, pl.Boolean),
    ]
    return conform("forecasts", pl.DataFrame(table))


def in_returns(said: Predictions, limits: tuple[Array, Array], scale: Array) -> dict[str, Array]:
    """Return the numbers of the table `forecasts`, float64 (n,) by column.

    Parameters
    ----------
    said : Predictions
        Of scaled returns.
    limits : (float64 (n,), float64 (n,))
        Lower and upper ends of their intervals, scaled.
    scale : float64 (n,)
        Volatility of the return over the horizon.
    """
    low, high = limits
    return {
        "p_down": said.probabilities[:, 0],
        "p_flat": said.probabilities[:, 1],
        "p_up": said.probabilities[:, 2],
        "expected_return": said.mean * scale,
        "sigma_return": said.deviation * scale,
        "sigma_noise": said.noise * scale,
        "sigma_expected_return": said.error * scale,
        "interval_low": low * scale,
        "interval_high": high * scale,
    }
