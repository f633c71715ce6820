"""The closed form of W1 traded through every stage of `known_optimum`: the account earns J*.

Bars, checks on them, features, market, decisions, accounts: the functions that the assets of a fold
call, from the shipped declarations. J* is small beside a bar's noise, so that histories of several
seeds are joined. The noise of returns is known here and earns nothing on average: a second estimate
leaves it out and sees faults that the first one does not.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.validation.bars import validate_bars
from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.features.compute import compute_features
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets.policy.rollout import build_task
from trading_assets.policy.teachers import inputs_of
from trading_assets.policy.world_task import declared_world
from trading_assets.schema import TABLES
from trading_assets.simulation.market import Market
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.simulation.worlds.one_asset import best_policy, follow_policy

DECLARED = load_declarations([PACKAGED], "development")
STRATEGY = DECLARED.strategies["known_optimum"]
DATA = DECLARED.market_data[STRATEGY.market_data]
WORLD = declared_world(STRATEGY, DATA.source)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
# Positions are remembered for a few bars: means of a year are as good as independent.
BATCH_BARS = 250
BURN_IN_BARS = 50


@dataclass(frozen=True)
class History:
    """One history as it comes out of the pipeline.

    Attributes
    ----------
    surprise : float64 (T - 1,)
        Part of the next bar's return that the world's signal does not predict.
    """

    market: Market
    tables: TrainingTables
    surprise: np.ndarray

    def task(self, strategy=STRATEGY) -> TradingTask:
        return build_task(self.market, self.tables.features, self.tables.forecasts, strategy)


def make_history(seed, first):
    source = DATA.source.model_copy(update={"seed": seed})
    data = DATA.model_copy(update={"source": source, "start": first})
    fetched = build_source(data, get_calendar(data.calendar), {}).fetch(first, NOW.date(), NOW)
    months = fetched.rows["session"].dt.month_start().cast(pl.String).unique().sort().to_list()
    listed = {"W1": fetched.rows["session"].min()}
    validated = validate_bars(fetched.rows, fetched.actions, data, months, listed, NOW)
    assert validated.failed_months == []
    bars, sessions = validated.rows, validated.rows["session"].unique().sort().to_list()
    features = compute_features(bars, fetched.actions, fetched.series, STRATEGY.features, sessions)
    tables = TrainingTables(bars, fetched.actions, features, TABLES["forecasts"].empty())
    market = market_of(tables, data)
    signal = fetched.series.sort("session")["value"].to_numpy()
    returns = market.close[1:, 0] / market.close[:-1, 0] - 1.0
    return History(market, tables, returns - WORLD.beta * signal[:-1])


def best_weights(task, bars_late=0):
    """Return the weights of the closed form, float64 (T, 1), on the signal that policies see."""
    seen = inputs_of(task)[0][:, None]
    return np.roll(follow_policy(best_policy(WORLD), seen)[:, 0], bars_late, axis=0)


def trade(history, strategy=STRATEGY, bars_late=0):
    """Return the reward of each bar, and the part of it that is noise of returns."""
    task = history.task(strategy)
    wanted = best_weights(task, bars_late)
    rows = range(BURN_IN_BARS, len(wanted) - 1)
    books = TradedBooks(task, 1)
    books.open(slice(None), np.array([rows.start]))
    rewards, noise = np.empty(len(rows)), np.empty(len(rows))
    for place, row in enumerate(rows):
        weights = task.view.project(wanted[row][None], books.rows, books.held)
        rewards[place] = books.trade(weights)[0]
        noise[place] = weights[0, 0] * history.surprise[row]
    return rewards, noise


def mean_and_error(parts):
    """Return the mean over several histories and its standard error by means of batches."""
    means = np.concatenate(
        [x[: len(x) // BATCH_BARS * BATCH_BARS].reshape(-1, BATCH_BARS).mean(axis=1) for x in parts]
    )
    return means.mean(), means.std(ddof=1) / np.sqrt(len(means))


@pytest.fixture(scope="module")
def histories():
    return [make_history(seed, date(1990, 1, 2)) for seed in range(8)]


def test_the_shipped_world_is_that_of_the_closed_form():
    assert pytest.approx(1.239697e-4, rel=1e-5) == WORLD.optimum


def test_the_backtest_s_account_earns_what_the_environment_pays():
    history = make_history(0, date(2023, 1, 3))
    task = history.task()
    wanted, days = best_weights(task), history.market.sessions.astype("datetime64[D]").tolist()
    fold = Fold("", days[0], days[0], days[0], days[BURN_IN_BARS + 1], days[-1])
    traded = run_backtest(history.market, {"best": lambda row, _: wanted[row]}, STRATEGY, fold)
    equity = traded.equity["equity_usd"].to_numpy()
    held = traded.weights["weight"].to_numpy()
    risk = 0.5 * WORLD.risk_aversion * (WORLD.volatility * held) ** 2
    earned = np.diff(equity, prepend=task.initial_usd) / task.initial_usd - risk
    np.testing.assert_allclose(earned, trade(history)[0], atol=1e-9)


@pytest.mark.slow
def test_the_closed_form_earns_the_optimum(histories):
    traded = [trade(history) for history in histories]
    mean, error = mean_and_error([rewards for rewards, _ in traded])
    assert abs(mean - WORLD.optimum) < 4 * error
    assert error < 0.1 * WORLD.optimum
    mean, error = mean_and_error([rewards - noise for rewards, noise in traded])
    assert abs(mean - WORLD.optimum) < 4 * error
    assert error < 0.03 * WORLD.optimum


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["a bar late", "cost twice", "no cost"])
def test_a_fault_shows(histories, fault):
    factor = {"cost twice": 2.0, "no cost": 0.0}.get(fault, 1.0)
    charged = {"quadratic_lambda": factor * STRATEGY.costs.quadratic_lambda}
    strategy = STRATEGY.model_copy(update={"costs": STRATEGY.costs.model_copy(update=charged)})
    late = int(fault == "a bar late")
    traded = [trade(history, strategy, late) for history in histories]
    mean, error = mean_and_error([rewards - noise for rewards, noise in traded])
    assert abs(mean - WORLD.optimum) > 4 * error
