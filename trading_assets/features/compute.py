"""From bars to the table `features`: the one function that training, backtest and paper call."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.cores import usable_cores
from trading_assets.errors import DataError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.adjustment import Action, list_actions
from trading_assets.features.catalogue import feature_names, feature_of, warm_up_bars
from trading_assets.features.engine import build_engine, compute_rows
from trading_assets.features.given_columns import compute_given
from trading_assets.features.inputs import MARKET_INPUTS, SymbolRows, own_inputs, prepare_symbols
from trading_assets.features.known_series import list_lines
from trading_assets.features.market_inputs import Market
from trading_assets.features.windows import VOLATILITY_COLUMN, input_window, month_of
from trading_assets.schema import TABLES, conform

Array = NDArray[np.float64]


def compute_month(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    spec: FeaturesSpec,
    month_first_day: date,
) -> pl.DataFrame:
    """Return the table `features` of one month, every session that has a bar.

    Only bars of the 25 months before and of the month itself are used, so the rows are the same
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
        Table validated_bars, one row a symbol and session, in any order; bars further back than 25
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
        window = _Window(month, first, np.array(asked, dtype="datetime64[D]"))
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
    month: date
    first: date
    asked: NDArray[np.datetime64]


def _compute_window(
    bars: pl.DataFrame,
    actions: Mapping[str, Sequence[Action]],
    series: pl.DataFrame,
    spec: FeaturesSpec,
    window: _Window,
) -> list[pl.DataFrame]:
    names = feature_names(spec)
    engine = build_engine(names, spec.module)
    last = window.asked[-1].astype(date)
    rows = bars.filter(pl.col("session").is_between(window.first, last))
    symbols = prepare_symbols(rows, actions)
    sources = {source for name in names for source in feature_of(name, spec.module).series}
    lines = list_lines(series, sources, window.first, last)
    market: Market | None = None
    if symbols and not MARKET_INPUTS.isdisjoint(engine.program.inputs):
        places = {symbol.symbol: place for place, symbol in enumerate(symbols)}
        month = np.datetime64(window.month, "D")
        market = Market(symbols, places, [None] * len(symbols), month)

    def compute(symbol: SymbolRows) -> pl.DataFrame | None:
        asked = np.flatnonzero(np.isin(symbol.bars.sessions, window.asked))
        if not len(asked):
            return None
        inputs = own_inputs(symbol, engine.program.inputs, lines)
        if market is not None:
            inputs |= market.inputs_of(symbol.symbol, symbol.bars.sessions)
        given = compute_given(engine.given, spec.module, symbol.bars) if engine.given else None
        columns = [inputs[name] for name in engine.program.inputs]
        rows = compute_rows(engine, columns, spec.scale_bars, int(asked[0]), given)
        return symbol.rows.select(TABLES["features"].names)[asked].with_columns(
            _as_nullable(name, column)
            for name, column in zip(engine.names, rows[:, asked - asked[0]], strict=True)
        )

    # Kernels run side by side; libraries and functions of others may not be made for it.
    with ThreadPoolExecutor(1 if engine.given else usable_cores()) as threads:
        return [frame for frame in threads.map(compute, symbols) if frame is not None]


def _as_nullable(name: str, values: NDArray[np.float32]) -> pl.Series:
    return pl.Series(name, np.where(np.isfinite(values), values, np.nan), nan_to_null=True)


def _empty(names: Sequence[str]) -> pl.DataFrame:
    columns = [pl.lit(None, pl.Float32).alias(name) for name in (VOLATILITY_COLUMN, *names)]
    return TABLES["features"].empty().with_columns(columns)
