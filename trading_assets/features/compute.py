"""From bars to the table `features`: the one function that training, backtest and paper call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.adjustment import (
    Action,
    SymbolBars,
    adjust_forward,
    list_actions,
)
from trading_assets.features.catalogue import feature_names, feature_of, warm_up_bars
from trading_assets.features.formulas import FORMULAS, ewma_volatility
from trading_assets.features.known_series import known_values, list_lines
from trading_assets.features.scaling import scale_rows
from trading_assets.features.windows import VOLATILITY_COLUMN, input_window, month_of
from trading_assets.schema import TABLES, conform
from trading_assets.strategy import FeaturesSpec

Array = NDArray[np.float64]


def compute_month(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    spec: FeaturesSpec,
    month_first_day: date,
) -> pl.DataFrame:
    """Return the table `features` of one month, every session that has a bar.

    Only bars of the 24 months before and of the month itself are used, so the rows are the same
    bytes whatever other bars are passed. See `compute_features` for the columns.
    """
    _, last = input_window(month_first_day)
    sessions = (
        bars["session"]
        .filter(bars["session"].is_between(month_first_day, last))
        .unique()
        .sort()
        .to_list()
    )
    return compute_features(bars, actions, series, spec, sessions)


def compute_features(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    spec: FeaturesSpec,
    sessions: Sequence[date],
) -> pl.DataFrame:
    """Return the table `features` for the asked sessions, known at each row's `knowledge_time`.

    Parameters
    ----------
    bars : DataFrame
        Table validated_bars, one row a symbol and session, in any order; bars further back than 24
        months before a session's month are not used.
    actions : DataFrame
        Table corporate_actions; a row uses only those with ex_date on or before its session.
    series : DataFrame
        Table series; a row uses what was known of each with its bar, as `known_values` says.
    spec : FeaturesSpec
        Which features, and the bars of the scaling window.
    sessions : sequence of date
        Sessions to return; a symbol without a bar at one has no row.

    Returns
    -------
    DataFrame
        Key columns, `volatility_1d` (unscaled EWMA volatility of one bar's log return, fraction;
        not a feature, it states forecasts in return units) and one column a feature of
        `feature_names(spec)`, all float32, null before warm-up. Sorted by symbol and session.

    Raises
    ------
    UserError
        If the declaration names an unknown feature.
    DataError
        If a symbol has two bars of one session.
    """
    names = feature_names(spec)
    months: dict[date, list[date]] = {}
    for session in sorted(set(sessions)):
        months.setdefault(month_of(session), []).append(session)
    by_symbol = list_actions(actions)
    frames = [_empty(names)]
    for month, asked in months.items():
        first, _ = input_window(month)
        window = _Window(first, asked[-1], np.array(asked, dtype="datetime64[D]"))
        frames.extend(_compute_window(bars, by_symbol, series, spec, window))
    return conform("features", pl.concat(frames)).sort("symbol", "session")


def require_history(bars: pl.DataFrame, spec: FeaturesSpec, session: date) -> None:
    """Refuse a session for which some feature of a symbol would still be in its warm-up.

    Raises
    ------
    DataError
        Naming the symbol, the bars it has, the bars needed and the feature that needs them.
    """
    slowest = max(feature_names(spec), key=lambda name: warm_up_bars(name, spec))
    needed = warm_up_bars(slowest, spec)
    first, _ = input_window(month_of(session))
    held = bars.filter(pl.col("session").is_between(first, session)).group_by("symbol").len()
    for symbol in sorted(set(bars["symbol"].to_list())):
        count = int(held.filter(pl.col("symbol") == symbol)["len"].sum())
        if count < needed:
            msg = (
                f"{symbol} has {count} bars up to {session}; expected at least {needed}, which"
                f" feature {slowest} needs: start the data set earlier or drop the feature"
            )
            raise DataError(msg)


@dataclass(frozen=True, slots=True)
class _Window:
    first: date
    last: date
    asked: NDArray[np.datetime64]


def _compute_window(
    bars: pl.DataFrame,
    actions: Mapping[str, Sequence[Action]],
    series: pl.DataFrame,
    spec: FeaturesSpec,
    window: _Window,
) -> list[pl.DataFrame]:
    names = feature_names(spec)
    sources = {name: source for name in names if (source := feature_of(name).series) is not None}
    lines = list_lines(series, set(sources.values()), window.first, window.last)
    rows = bars.filter(pl.col("session").is_between(window.first, window.last))
    rows = rows.sort("symbol", "session")
    frames: list[pl.DataFrame] = []
    for (symbol,), own in rows.partition_by("symbol", as_dict=True).items():
        sessions = own["session"].to_numpy().astype("datetime64[D]")
        asked = np.flatnonzero(np.isin(sessions, window.asked))
        if len(asked):
            known = {name: known_values(lines, source, own) for name, source in sources.items()}
            frames.append(_compute_symbol(own, actions.get(str(symbol), ()), spec, asked, known))
    return frames


def _compute_symbol(
    rows: pl.DataFrame,
    actions: Sequence[Action],
    spec: FeaturesSpec,
    asked: NDArray[np.int64],
    known: Mapping[str, Array],
) -> pl.DataFrame:
    names = feature_names(spec)
    bars = adjust_forward(rows, actions)
    # Logarithms of damaged prices become nan, hence null; numpy need not warn about them.
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = {name: known[name] if name in known else _unscaled(name, bars) for name in names}
        volatility = ewma_volatility(bars)
    values = {name: column[asked] for name, column in raw.items()}
    scaled = [name for name in names if feature_of(name).is_scaled]
    if scaled:
        block = scale_rows(np.stack([raw[n] for n in scaled], axis=1), asked, spec.scale_bars)
        values.update({name: block[:, column] for column, name in enumerate(scaled)})
    columns = {VOLATILITY_COLUMN: volatility[asked], **values}
    return rows.select(TABLES["features"].names)[asked].with_columns(
        _as_nullable(name, column) for name, column in columns.items()
    )


def _unscaled(name: str, bars: SymbolBars) -> Array:
    # A copy: some formulas return an array of `bars` itself.
    values = np.array(FORMULAS[name](bars))
    # Recursive indicators have values earlier, which still depend on where the history starts.
    values[: feature_of(name).lookback_bars - 1] = np.nan
    return values


def _as_nullable(name: str, values: Array) -> pl.Series:
    is_finite = np.isfinite(values)
    return pl.Series(name, np.where(is_finite, values, np.nan).astype(np.float32), nan_to_null=True)


def _empty(names: Sequence[str]) -> pl.DataFrame:
    columns = [pl.lit(None, pl.Float32).alias(name) for name in (VOLATILITY_COLUMN, *names)]
    return TABLES["features"].empty().with_columns(columns)
