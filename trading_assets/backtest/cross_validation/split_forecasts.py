"""What a split's forecaster says of the groups that it is tested on, and how good that was."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.cross_validation.divided_market import DividedMarket
from trading_assets.backtest.cross_validation.split_fit import SplitFit
from trading_assets.forecast.class_rules import classify_rows
from trading_assets.forecast.dataset import Rows
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.predictions import Predictions
from trading_assets.forecast.scores import row_log_losses
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast.skill import measure_skill
from trading_assets.schema import conform
from trading_assets.simulation.terms import Floats

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Forecasts of one group with what came true of them; rows without a label are left out.

    Attributes
    ----------
    rows : Rows
        Where they stand on the panel.
    log_loss, log_loss_of_shares : float64 (n,)
        Of the forecaster, and of the class shares of the rows that it was fitted on, nats.
    expected, realised : float64 (n,)
        Scaled returns.
    """

    rows: Rows
    log_loss: Array
    log_loss_of_shares: Array
    expected: Array
    realised: Array


@dataclass(frozen=True, slots=True)
class SplitForecasts:
    """Forecasts of a split's test groups.

    Attributes
    ----------
    next_return : float64 (T, N)
        Expected return of the market's next bar; nan where nothing is forecast.
    scored : mapping of int to ScoredRows
        By group.
    """

    next_return: Floats
    scored: Mapping[int, ScoredRows]


def forecast_groups(
    divided: DividedMarket, fit: SplitFit, forecaster: Forecaster
) -> SplitForecasts:
    """Forecast the sessions of a split's test groups and the one before each.

    Parameters
    ----------
    divided : DividedMarket
        Features and labels.
    fit : SplitFit
        Says which groups are tested.
    forecaster : Forecaster
        Fitted on the split.
    """
    panel, market = divided.panel, divided.market
    _, inputs = forecaster.model_inputs(divided.tables)
    next_return = np.full(market.close.shape, np.nan)
    scored: dict[int, ScoredRows] = {}
    for group in fit.split.test_groups:
        decided = divided.group_rows(group)
        days = market.sessions[decided.start : decided.stop + 1].astype("datetime64[D]").tolist()
        rows = forecaster.rows_to_serve(panel, days)
        with one_seeded_thread(forecaster.spec.seed):
            said = forecaster.say(inputs, rows)
        _lay(divided, rows, said, next_return)
        is_of_group = np.isin(rows.session, divided.panel_block(group))
        scored[group] = _score(
            divided, forecaster, rows.where(is_of_group), said.where(is_of_group)
        )
    return SplitForecasts(next_return, scored)


def score_paths(divided: DividedMarket, scored: Mapping[int, SplitForecasts]) -> pl.DataFrame:
    """Return table `cross_validated_forecasts`: each path's scores over all its rows.

    Parameters
    ----------
    divided : DividedMarket
        Groups and splits.
    scored : mapping of int to SplitForecasts
        Of every split, by its number.
    """
    splits = divided.splits
    lines = [
        _score_path(
            path,
            [
                scored[splits.tested_by(group)[path].number].scored[group]
                for group in range(len(splits.groups))
            ],
            divided.gap.horizon_bars,
        )
        for path in range(splits.n_paths)
    ]
    types = {"path": pl.Int32, "rows": pl.Int64}
    return conform("cross_validated_forecasts", pl.DataFrame(lines, schema_overrides=types))


def _score_path(path: int, groups: Sequence[ScoredRows], horizon_bars: int) -> dict[str, object]:
    symbol, session = (
        np.concatenate([getattr(own.rows, name) for own in groups])
        for name in ("symbol", "session")
    )
    loss, of_shares, expected, realised = (
        np.concatenate([getattr(own, name) for own in groups])
        for name in ("log_loss", "log_loss_of_shares", "expected", "realised")
    )
    skill = measure_skill(symbol, session, expected, realised, horizon_bars)
    return {
        "path": path + 1,
        "rows": len(loss),
        "log_loss": _mean(loss),
        "log_loss_of_shares": _mean(of_shares),
        "ic": _known(skill.ic.mean),
        "rank_ic": _known(skill.rank_ic.mean),
    }


def _lay(divided: DividedMarket, rows: Rows, said: Predictions, next_return: Floats) -> None:
    """Write the expected return of the next bar into its place of the market."""
    panel, market = divided.panel, divided.market
    column = {symbol: place for place, symbol in enumerate(market.symbols)}
    columns = np.array([column[symbol] for symbol in panel.symbols])
    at = np.searchsorted(market.sessions, panel.sessions[rows.session])
    scale = panel.volatility[rows.symbol, rows.session] / math.sqrt(divided.gap.horizon_bars)
    next_return[at, columns[rows.symbol]] = said.mean * scale


def _score(
    divided: DividedMarket, forecaster: Forecaster, rows: Rows, said: Predictions
) -> ScoredRows:
    labels = divided.labels
    realised = labels.scaled_return[rows.symbol, rows.session]
    is_known = np.isfinite(realised)
    rows, said = rows.where(is_known), said.where(is_known)
    classes = classify_rows(forecaster.class_rule, labels, rows, divided.gap.horizon_bars).classes
    shares = np.tile(forecaster.prior, (len(rows), 1))
    return ScoredRows(
        rows=rows,
        log_loss=row_log_losses(said.probabilities, classes),
        log_loss_of_shares=row_log_losses(shares, classes),
        expected=said.mean,
        realised=realised[is_known],
    )


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
