from dataclasses import replace

import numpy as np
import pytest

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.choice import gather_choice, judge_choice
from trading_assets.backtest.overfitting import measure_overfitting
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.backtest.trials import chain_windows

BARS = 400
DAYS = np.datetime64("2020-01-01") + np.arange(BARS)
MEMBERS = ("ppo/ensemble", "ppo/seed-0", "ppo/seed-1")


def record_of(portfolio, returns, days=DAYS) -> TrackRecord:
    nothing = np.zeros(len(returns))
    folds = np.full(len(returns), "2020-01-01")
    parts = [nothing] * 4
    return TrackRecord(portfolio, (), days, folds, np.asarray(returns, np.float64), *parts)


def records_of(own_mean=0.0, seed=0):
    rng = np.random.default_rng(seed)
    drawn = {name: 0.01 * rng.standard_normal(BARS) for name in (*MEMBERS, *BASELINES)}
    drawn["cash"] = np.zeros(BARS)
    return {
        name: record_of(name, returns + own_mean * (name in MEMBERS))
        for name, returns in drawn.items()
    }


def trial_of(returns, label="other/ppo", days=DAYS):
    return chain_windows(label, [(days, np.asarray(returns, np.float64))])


def gather(records, trials=()):
    return gather_choice(records, ["ppo"], "equal_weight", trials)


def test_candidates_are_own_ensembles_and_seeds_and_trials_of_all_sessions():
    rng = np.random.default_rng(1)
    drawn = 0.01 * rng.standard_normal((4, BARS))
    longer = np.datetime64("2019-12-01") + np.arange(BARS + 60)
    trials = [
        trial_of(drawn[0]),
        trial_of(drawn[1][: BARS - 1], "short/ppo", DAYS[: BARS - 1]),
        trial_of(np.concatenate([np.zeros(31), drawn[2], np.zeros(29)]), "longer/ppo", longer),
        chain_windows("silent/ppo", []),
    ]
    choice = gather(records_of(), trials)
    assert list(choice.candidates) == [*MEMBERS, "other/ppo", "longer/ppo"]
    assert set(choice.baselines) == set(BASELINES)
    assert (choice.covering, choice.left_out) == (2, ())
    np.testing.assert_array_equal(choice.candidates["longer/ppo"], drawn[2])
    assert len(choice.sessions) == BARS


def test_what_is_equal_to_the_bit_is_chosen_from_once():
    records = records_of()
    own = records["ppo/ensemble"].returns
    other = records["ppo/seed-1"].returns + 1e-9
    choice = gather(records, [trial_of(own), trial_of(other), trial_of(2 * other)])
    assert list(choice.candidates) == [*MEMBERS, "other/ppo", "other/ppo (2)"]
    assert choice.covering == 3
    idle = {**records, "ppo/seed-0": record_of("ppo/seed-0", np.zeros(BARS))}
    assert "cash" not in gather(idle).baselines


def test_a_portfolio_that_lacks_sessions_is_left_out_by_name():
    records = records_of()
    records["ppo/seed-1"] = record_of("ppo/seed-1", np.zeros(BARS - 9), DAYS[9:])
    records["cash"] = record_of("cash", np.zeros(BARS - 9), DAYS[9:])
    choice = gather(records)
    assert choice.left_out == ("ppo/seed-1", "cash")
    assert len(choice.sessions) == BARS
    # An ensemble that lacks sessions shortens what all are judged on.
    records["ppo/ensemble"] = record_of("ppo/ensemble", np.ones(BARS - 20), DAYS[20:])
    shorter = gather(records)
    assert len(shorter.sessions) == BARS - 20
    assert shorter.left_out == ()
    assert len(shorter.benchmark_returns) == BARS - 20


def test_equally_good_seeds_are_overfit_alone_and_not_among_baselines():
    tests = [judge_choice(gather(records_of(0.0025, seed)), 0) for seed in range(10)]
    alone = [
        measure_overfitting(
            np.column_stack(list(gather(records_of(0.0025, s)).candidates.values()))
        )
        for s in range(10)
    ]
    assert np.mean([own.probability for own in alone]) > 0.4
    among = [own.overfitting.probability for own in tests if own.overfitting is not None]
    assert len(among) == 10
    assert max(among) <= 0.3
    worthless = [judge_choice(gather(records_of(0.0, seed)), 0) for seed in range(10)]
    assert np.mean([own.overfitting.probability for own in worthless]) > 0.3


def test_candidates_alone_are_tested_against_the_benchmark():
    records = records_of()
    records["buy_and_hold"] = record_of("buy_and_hold", records["buy_and_hold"].returns + 0.01)
    found = judge_choice(gather(records), 0).superiority
    assert found is not None
    # The other baseline is far better, which is no merit of a candidate.
    assert found.p_value > 0.05
    assert found.better == ()
    better = judge_choice(gather(records_of(0.004)), 0).superiority
    assert better is not None
    assert better.p_value < 0.05
    assert set(better.better) == set(MEMBERS)


def test_what_cannot_be_told_says_why():
    records = records_of()
    same = {**records, **{name: replace(records[MEMBERS[0]], portfolio=name) for name in MEMBERS}}
    one = judge_choice(gather(same), 0)
    assert one.overfitting is None
    assert one.overfitting_gap == "1 candidate; expected at least 2, as nothing is chosen of one"
    assert one.superiority is not None
    cut = {name: record_of(name, own.returns[:19], DAYS[:19]) for name, own in records.items()}
    short = judge_choice(gather(cut), 0)
    assert short.overfitting_gap == "19 sessions; expected at least 20"
    assert short.superiority_gap == "3 candidates over 19 sessions; expected some over 30"
    nothing = {name: record_of(name, [], DAYS[:0]) for name in records}
    empty = judge_choice(gather(nothing), 0)
    assert (empty.overfitting, empty.superiority) == (None, None)


def test_the_same_seed_gives_the_same_tests():
    choice = gather(records_of())
    first, second = judge_choice(choice, 3), judge_choice(choice, 3)
    assert first.superiority == second.superiority
    assert first.overfitting.logits.tolist() == pytest.approx(second.overfitting.logits.tolist())
