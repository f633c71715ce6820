"""What a split's forecaster says of its test groups: that of the forecaster, bar by bar."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.cross_validation.divided_market import divide_market
from trading_assets.backtest.cross_validation.split_fit import fit_split
from trading_assets.backtest.cross_validation.split_forecasts import forecast_groups, score_paths
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.forecast.evaluation import evaluate_forecasts
from trading_assets_tests.backtest.cross_validation.known_world import (
    START,
    world_of,
    world_strategy,
    world_tables,
)

LAST, HORIZON = date(2019, 12, 31), 3


@pytest.fixture(scope="module")
def divided():
    market_data = world_of(0.3)
    forecast = {"horizon_bars": HORIZON, "window_bars": 8, "members": 1}
    spec = CrossValidationSpec(groups=4, test_groups=1)
    strategy = world_strategy(forecast=forecast)
    return divide_market(
        world_tables(market_data, LAST), (START, LAST), strategy, market_data, spec
    )


def test_the_last_group_is_forecast_and_scored_as_a_test_window_is(divided):
    """Only there a forecaster may be asked for its table, as it was fitted on nothing later."""
    fit = fit_split(divided, divided.splits.splits[3])
    assert fit.forecaster is not None
    found = forecast_groups(divided, fit, fit.forecaster)
    days = divided.splits.groups[3]
    table = fit.forecaster.predict(divided.tables, days)
    at = np.searchsorted(divided.market.sessions, np.array(days, dtype="datetime64[D]"))
    # A return over the horizon is one of the next bar, three times.
    expected = table["expected_return"].to_numpy() / HORIZON
    assert found.next_return[at, 0] == pytest.approx(expected, rel=1e-5)
    rows = found.scored[3].rows
    # Labels of the last three sessions have not ended.
    assert divided.panel.sessions[rows.session].tolist() == list(days[:-HORIZON])
    scored = evaluate_forecasts(divided.tables, table, fit.forecaster)
    assert scored is not None
    losses = found.scored[3]
    assert losses.log_loss.mean() == pytest.approx(scored.figures["log_loss"], rel=1e-6)
    of_shares = losses.log_loss_of_shares.mean()
    assert of_shares == pytest.approx(scored.figures["log_loss_of_prior"])


def test_nothing_is_forecast_beyond_the_tested_groups_and_the_close_before(divided):
    fit = fit_split(divided, divided.splits.splits[1])
    assert fit.forecaster is not None
    found = forecast_groups(divided, fit, fit.forecaster)
    known = np.flatnonzero(np.isfinite(found.next_return[:, 0]))
    decided = divided.group_rows(1)
    assert known.tolist() == list(range(decided.start, decided.stop + 1))
    assert list(found.scored) == [1]


def test_a_path_is_scored_over_the_rows_of_all_its_groups(divided):
    forecasts = {
        split.number: forecast_groups(divided, fit, fit.forecaster)
        for split in divided.splits.splits
        for fit in [fit_split(divided, split)]
        if fit.forecaster is not None
    }
    table = score_paths(divided, forecasts)
    losses = np.concatenate([forecasts[group].scored[group].log_loss for group in range(4)])
    # The first window is full with the eighth session, the last three labels have not ended.
    assert len(losses) == sum(len(group) for group in divided.splits.groups) - 6 - HORIZON
    assert table.select("path", "rows").rows() == [(1, len(losses))]
    assert table["log_loss"].item() == pytest.approx(losses.mean())
    assert table.filter(pl.col("ic") > 0.1).height == 1
