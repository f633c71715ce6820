"""What a split is fitted on, and that nothing else has a say in it."""

from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.cross_validation import split_fit as module
from trading_assets.backtest.cross_validation.divided_market import DividedMarket, divide_market
from trading_assets.backtest.cross_validation.split_fit import SplitFit, find_reaching, fit_split
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables
from trading_assets.schema import TABLES
from trading_assets_tests.backtest.cross_validation.known_world import (
    START,
    VOLATILITY,
    world_of,
    world_strategy,
    world_tables,
)
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import NAMES, make_market

LAST = date(2020, 12, 31)
SPEC = CrossValidationSpec(groups=5, test_groups=2)
HORIZON = 3
FORECAST = {"horizon_bars": HORIZON, "window_bars": 8, "members": 1}


def divided_by(tables: TrainingTables) -> DividedMarket:
    strategy = world_strategy(forecast=FORECAST)
    return divide_market(tables, (START, LAST), strategy, world_of(0.2), SPEC)


@pytest.fixture(scope="module")
def tables() -> TrainingTables:
    return world_tables(world_of(0.2), LAST)


@pytest.fixture(scope="module")
def divided(tables: TrainingTables) -> DividedMarket:
    return divided_by(tables)


def fitted_of(fit: SplitFit) -> dict[str, object]:
    """Everything that a split's fit decides and forecasts by."""
    forecaster = fit.forecaster
    assert fit.expected is not None
    assert forecaster is not None
    card = forecaster.card
    # The digest is of all that lies between the first and the last row, test groups too.
    card.pop("data_sha256")
    return {
        "slopes": fit.expected.slopes.tolist(),
        "persistence": fit.expected.persistence.tolist(),
        "trade_aversion": fit.trade_aversion,
        "models": forecaster.models.pack(),
        "card": card,
    }


def scrambled(tables: TrainingTables, bars: set[date], rows: set[date]) -> TrainingTables:
    """Return tables with other prices on some sessions, and other features on some."""
    rng = np.random.default_rng(3)
    is_bar, is_row = (pl.col("session").is_in(sorted(days)) for days in (bars, rows))
    factor = pl.Series("factor", rng.uniform(0.5, 2.0, tables.bars.height))
    prices = [
        pl.when(is_bar).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    ]
    noise = pl.Series("noise", rng.normal(size=tables.features.height))
    values = [
        pl.when(is_row).then(noise).otherwise(pl.col(name)).cast(pl.Float32).alias(name)
        for name in ("signal", "log_return_1")
    ]
    return replace(
        tables,
        bars=tables.bars.with_columns(prices),
        features=tables.features.with_columns(values),
    )


def sets_of(divided: DividedMarket, number: int) -> tuple[set[date], set[date]]:
    """Return the sessions whose prices, and whose rows, a split may not learn from."""
    sessions = [day for group in divided.splits.groups for day in group]
    split, gap = divided.splits.splits[number], divided.gap
    rows = {*sessions} - {*split.train}
    bars: set[date] = set()
    for group in split.test_groups:
        first, last = (sessions.index(divided.splits.groups[group][end]) for end in (0, -1))
        # Labels may end a horizon before the group; a train row after it knows its own close.
        end = last + gap.horizon_bars + gap.embargo_sessions
        bars |= {*sessions[max(0, first - gap.horizon_bars) : end + 1]}
    return bars, rows


@pytest.mark.parametrize("number", range(10))
def test_neither_test_groups_nor_what_is_purged_around_them_change_what_is_fitted(
    divided: DividedMarket, tables: TrainingTables, number: int
):
    split = divided.splits.splits[number]
    before = fitted_of(fit_split(divided, split))
    bars, rows = sets_of(divided, number)
    assert {day for group in split.test_groups for day in divided.splits.groups[group]} <= bars
    other = divided_by(scrambled(tables, bars, rows))
    assert other.splits == divided.splits
    assert fitted_of(fit_split(other, split)) == before
    # One price within reach of a train label, or one train row, is enough to change it.
    nearest = split.train[len(split.train) // 2]
    for changed in (scrambled(tables, {nearest}, set()), scrambled(tables, set(), {nearest})):
        assert fitted_of(fit_split(divided_by(changed), split)) != before


def test_slopes_are_least_squares_over_the_train_sessions_alone(
    divided: DividedMarket, tables: TrainingTables
):
    split = divided.splits.splits[4]
    found = fit_split(divided, split).expected
    closes = dict(tables.bars.select("session", "close").iter_rows())
    signals = dict(tables.features.select("session", "signal").iter_rows())
    days = sorted(closes)
    after = dict(pairwise(days))
    train = [day for day in split.train if day in after]
    x = np.clip([signals[day] for day in train], -5.0, 5.0)
    y = np.array([closes[after[day]] / closes[day] - 1.0 for day in train]) / VOLATILITY
    slope = (x @ y) / (x @ x + 1e-6 * len(x))
    by_chance = np.mean((y - slope * x) ** 2)
    assert found is not None
    assert found.slopes == pytest.approx([slope * (1.0 - by_chance / (slope**2 * (x @ x)))])
    pairs = [(signals[one], signals[after[one]]) for one in train if after[one] in {*train}]
    now, then = np.array(pairs).T
    assert found.persistence == pytest.approx([now @ then / (now @ now)])
    # The declared correlation, within two of its errors.
    assert abs(slope - 0.2) < 2.0 / np.sqrt(len(x))


def test_no_label_of_a_fit_lives_in_a_group_that_it_is_tested_on(divided: DividedMarket):
    fits = [fit_split(divided, split) for split in divided.splits.splits]
    assert find_reaching(divided.splits, fits) == []
    for fit in fits:
        train = {*fit.split.train}
        for name, (starts, ends) in fit.lives.items():
            assert {*starts.astype(date).tolist()} <= train, name
            assert (ends > starts).all()
        gaps = [
            (end - start).astype(int) for start, end in zip(*fit.lives["forecaster"], strict=True)
        ]
        assert min(gaps) >= HORIZON


def test_a_fit_stays_within_the_train_sessions_that_it_is_given(divided: DividedMarket):
    whole = divided.splits.splits[9]
    fewer = replace(whole, train=whole.train[:200])
    for starts, _ in fit_split(divided, fewer).lives.values():
        assert {*starts.astype(date).tolist()} <= {*fewer.train}


def test_a_fit_on_another_split_is_found_to_reach_into_the_groups(divided: DividedMarket):
    splits = divided.splits
    wrong = replace(fit_split(divided, splits.splits[9]), split=splits.splits[0])
    problems = find_reaching(splits, [wrong])
    assert len(problems) == 4
    assert problems[0].startswith("split 1: ")
    assert "labels that garleanu_pedersen was fitted on live in group 1, 2018-01-03" in problems[0]


def test_a_symbol_without_bars_is_purged_by_the_session_its_label_ends_on():
    """A label of AAA outlives the horizon where AAA has no bars: it would end in a test group."""
    market = make_market(0.3)
    names = ("signal", "log_return_1", "log_return_5", "log_return_21")
    days = market.bars["session"].unique().sort().to_list()
    divided = _divide_planted(market.bars, market.features, names)
    first = days.index(divided.splits.groups[2][0])
    # The last train row before the third group that a gap can leave a label of.
    gone = (pl.col("symbol") == "AAA") & pl.col("session").is_between(
        days[first - 2 * HORIZON], days[first + 2]
    )
    with_gap = _divide_planted(market.bars.filter(~gone), market.features.filter(~gone), names)
    split = next(s for s in with_gap.splits.splits if s.test_groups == (2, 4))
    fit = fit_split(with_gap, split)
    assert find_reaching(with_gap.splits, [fit]) == []
    row = days[first - 2 * HORIZON - 1]
    assert row in split.train
    assert row in fit.lives["forecaster"][0].astype(date).tolist()  # of BBB and CCC
    starts, ends = fit.lives["forecaster"]
    of_row = ends[starts == np.datetime64(row)]
    assert len(of_row) == 2
    assert (of_row < np.datetime64(divided.splits.groups[2][0])).all()


def test_features_that_only_tested_groups_know_are_not_waited_for_in_training():
    """A row is usable by the features that the train sessions know, as it is in a fold."""
    market = make_market(0.3)
    names = ("signal", "log_return_1", "log_return_5", "log_return_21")
    split = next(
        s
        for s in _divide_planted(market.bars, market.features, names).splits.splits
        if s.test_groups == (1, 3)
    )
    is_train = pl.col("session").is_in([*split.train])
    absent = [pl.when(is_train).then(None).otherwise(pl.col(n)).alias(n) for n in NAMES[1:]]
    divided = _divide_planted(market.bars, market.features.with_columns(absent), names)
    fit = fit_split(divided, split)
    assert fit.forecaster is not None
    assert fit.forecaster.models.transforms.is_known.tolist() == [True, False, False, False]


def _divide_planted(
    bars: pl.DataFrame, features: pl.DataFrame, names: tuple[str, ...]
) -> DividedMarket:
    renamed = features.rename(dict(zip(NAMES, names, strict=True)))
    market_data = MarketDataSpec.model_validate(
        {
            "source": {"kind": "synthetic"},
            "universe": ["AAA", "BBB", "CCC"],
            "start": date(2004, 1, 1),
        }
    )
    days = bars["session"].min(), bars["session"].max()
    tables = TrainingTables(bars, NO_ACTIONS, renamed, TABLES["forecasts"].empty())
    strategy = world_strategy(forecast=FORECAST, features={"names": [*names]})
    assert isinstance(days[0], date)
    assert isinstance(days[1], date)
    return divide_market(tables, days, strategy, market_data, SPEC)


def test_what_cannot_be_fitted_is_named_with_its_reason(
    divided: DividedMarket, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "rows_at", lambda *_: module.Rows(*[np.empty(0, np.int64)] * 2))
    fit = fit_split(divided, divided.splits.splits[0])
    assert fit.forecaster is None
    assert fit.absences["forecaster"].startswith("0 train windows have all their bars and a label")
    assert fit.expected is not None
