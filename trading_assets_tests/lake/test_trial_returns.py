from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from trading_assets.errors import DataError
from trading_assets.lake import tables
from trading_assets.lake.store import Lake
from trading_assets.lake.trial_returns import TrialReturns
from trading_assets_tests.lake.samples import NOW
from trading_assets_tests.lake.test_trials import TRIAL

FIRST = "test 2020-01-01"


def returns_of(window: str = FIRST, bars: int = 5, seed: int = 0) -> TrialReturns:
    start = np.datetime64(window.rsplit(" ", maxsplit=1)[-1])
    drawn = np.random.default_rng(seed).normal(0.0, 0.01, bars)
    return TrialReturns(window, start + np.arange(bars), drawn)


def kept_in(lake: Lake, data_set: str = "us_daily") -> list[tuple[str, list[str]]]:
    found = lake.counted_trials(data_set)
    return [(counted.trial.agent, [own.window for own in counted.returns]) for counted in found]


def connect(lake: Lake) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{lake.root / 'manifest.sqlite'}")


def test_returns_come_back_to_the_bit_with_their_trial(lake: Lake) -> None:
    own = returns_of(bars=250)
    assert lake.keep_trial_returns(TRIAL, own)
    (counted,) = lake.counted_trials("us_daily")
    assert counted.trial == replace(TRIAL, first_seen=NOW)
    (back,) = counted.returns
    assert back.window == FIRST
    assert back.returns.dtype == np.float64
    assert back.returns.tobytes() == own.returns.tobytes()
    np.testing.assert_array_equal(back.sessions, own.sessions)


def test_keeping_returns_counts_a_trial_once_whatever_came_first(lake: Lake) -> None:
    assert lake.register_trial(TRIAL)
    assert not lake.keep_trial_returns(TRIAL, returns_of())
    assert not lake.keep_trial_returns(TRIAL, returns_of("test 2021-01-01"))
    assert not lake.register_trial(TRIAL)
    assert lake.trial_count("us_daily") == 1
    assert kept_in(lake) == [("ppo", [FIRST, "test 2021-01-01"])]


def test_the_same_window_again_replaces_its_returns_and_no_others(lake: Lake) -> None:
    other, seeds = returns_of("test 2021-01-01"), replace(TRIAL, seeds=5)
    for trial in (TRIAL, seeds):
        lake.keep_trial_returns(trial, returns_of())
    lake.keep_trial_returns(TRIAL, other)
    again = returns_of(bars=7, seed=1)
    lake.keep_trial_returns(TRIAL, again)
    mine, of_seeds = (counted.returns for counted in lake.counted_trials("us_daily"))
    assert [len(own.returns) for own in mine] == [7, 5]
    np.testing.assert_array_equal(mine[0].returns, again.returns)
    np.testing.assert_array_equal(mine[1].returns, other.returns)
    np.testing.assert_array_equal(of_seeds[0].returns, returns_of().returns)


def test_a_trial_without_returns_is_among_those_counted(lake: Lake) -> None:
    lake.register_trial(TRIAL)
    lake.keep_trial_returns(replace(TRIAL, agent="sac"), returns_of())
    lake.keep_trial_returns(replace(TRIAL, data_set="known_optimum"), returns_of())
    assert kept_in(lake) == [("ppo", []), ("sac", [FIRST])]
    assert lake.trial_count("us_daily") == 2


def test_cleaning_keeps_what_was_earned(lake: Lake) -> None:
    lake.keep_trial_returns(TRIAL, returns_of())
    lake.clean()
    lake.sweep(timedelta(0))
    assert kept_in(lake) == [("ppo", [FIRST])]


def test_a_manifest_of_an_earlier_release_counts_on_and_gets_the_table(lake: Lake) -> None:
    lake.register_trial(TRIAL)
    with connect(lake).begin() as connection:
        tables.trial_returns.drop(connection)
    lake.close()
    assert kept_in(lake) == [("ppo", [])]
    lake.keep_trial_returns(replace(TRIAL, agent="sac"), returns_of())
    assert kept_in(lake) == [("ppo", []), ("sac", [FIRST])]


@pytest.mark.parametrize("column", ["returns", "sessions", "sha256"])
def test_damaged_returns_are_refused_by_name(lake: Lake, column: str) -> None:
    lake.keep_trial_returns(TRIAL, returns_of())
    kept = tables.trial_returns
    with connect(lake).begin() as connection:
        value = connection.execute(sa.select(kept.c[column])).scalar_one()
        turned = f"x{value[1:]}" if isinstance(value, str) else value[:-1] + bytes([value[-1] ^ 1])
        connection.execute(sa.update(kept).values({column: turned}))
    message = r"trial 1 \(us_equities/ppo\) in window test 2020-01-01 are damaged: .* expected"
    with pytest.raises(DataError, match=message):
        lake.counted_trials("us_daily")
    # A count needs no returns.
    assert lake.trial_count("us_daily") == 1
    lake.keep_trial_returns(TRIAL, returns_of())
    assert kept_in(lake) == [("ppo", [FIRST])]


@pytest.mark.parametrize(
    "broken",
    [
        TrialReturns(FIRST, np.empty(0, "datetime64[D]"), np.empty(0)),
        TrialReturns(FIRST, returns_of().sessions, returns_of(bars=4).returns),
        TrialReturns(FIRST, returns_of().sessions[::-1], returns_of().returns),
        TrialReturns(FIRST, returns_of().sessions, np.array([0.0, 0.1, np.nan, 0.0, 0.0])),
    ],
)
def test_returns_that_are_none_are_refused_and_nothing_is_counted(
    lake: Lake, broken: TrialReturns
) -> None:
    with pytest.raises(DataError, match="expected one finite return for each"):
        lake.keep_trial_returns(TRIAL, broken)
    assert lake.trial_count("us_daily") == 0
