import multiprocessing

import numpy as np
import pytest
from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.backtest.folds import Fold
from trading_assets.errors import DataError
from trading_assets.policy import fold as fold_module
from trading_assets.policy import search as search_module
from trading_assets.policy.ensemble import ValidationTrack
from trading_assets.policy.fold import TrainingTables
from trading_assets.policy.networks import Checkpoint
from trading_assets.policy.search import (
    SearchedAgent,
    best_row,
    fail_abandoned,
    open_study,
    run_trials,
    search_score,
    trial_rows,
)
from trading_assets.search_specs import SearchSpec
from trading_assets_tests.policy.tasks import days_of, make_strategy, make_tables, random_market

AGENT = {"algorithm": "a2c", "total_steps": 1_000, "episode_bars": 16, "n_envs": 8}
PARAMETERS = {
    "learning_rate": {"kind": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "hidden_units": {"kind": "int", "low": 4, "high": 12},
    "gae_lambda": {"kind": "choice", "values": [0.8, 0.9, 1.0]},
}
MARKET = random_market(140)


def searched_of(**values):
    search = SearchSpec.model_validate({"parameters": PARAMETERS, "seeds": 1, **values})
    agent = TypeAdapter(DeclaredAgent).validate_python(AGENT)
    days = days_of(MARKET)
    window = Fold("2020", days[0], days[-1], days[100], days[-1], days[-1])
    features, forecasts = make_tables(MARKET)
    tables = TrainingTables(features, features, features, forecasts)
    return SearchedAgent(tables, window, make_strategy(), None, agent, search)


@pytest.fixture(autouse=True)
def market(monkeypatch):
    monkeypatch.setattr(fold_module, "market_of", lambda *_: MARKET)


def search_in(folder, counts, name="demo", **values):
    study = open_study(name, folder / "studies.log")
    counted = []
    for count in counts:
        run_trials(study, searched_of(**values), count, lambda *told: counted.append(told))
    return trial_rows(study), counted


def test_the_same_seed_draws_the_same_trials_in_one_go_or_two(tmp_path):
    whole, counted = search_in(tmp_path / "one", (3,))
    parts, _ = search_in(tmp_path / "two", (2, 1))
    other, _ = search_in(tmp_path / "three", (1,), seed=1)
    assert whole == parts
    assert [row.state for row in whole] == ["complete"] * 3
    assert len({row.score for row in whole}) == 3
    assert other[0].parameters != whole[0].parameters
    assert [number for number, _ in counted] == [0, 1, 2]
    for row, (_, agent) in zip(whole, counted, strict=True):
        assert row.parameters == {name: getattr(agent, name) for name in PARAMETERS}
        assert agent.seeds == 1
        assert 4 <= agent.hidden_units <= 12
    best = best_row(whole)
    assert best is not None
    assert best.score == max(row.score for row in whole)


def test_a_score_is_the_mean_less_half_a_deviation():
    assert search_score([1.0, 3.0]) == pytest.approx(2.0 - 0.5 * 2**0.5)
    assert search_score([0.25]) == 0.25
    assert best_row([]) is None


def test_a_complete_trial_tells_what_it_earned_on_the_validation_days(tmp_path):
    kept, days = [], days_of(MARKET)
    study = open_study("demo", tmp_path / "studies.log")
    run_trials(study, searched_of(seeds=2), 1, lambda *_: None, keep=lambda *new: kept.append(new))
    ((number, agent, sessions, returns),) = kept
    assert (number, agent.seeds) == (0, 2)
    # The last session before a return decides it: the first validation day earns none.
    assert sessions.tolist() == days[101:140]
    assert returns.dtype == np.float64
    assert returns.shape == (39,)
    assert np.isfinite(returns).all()
    assert returns.any()


def add_trial(folder):
    fold_module.market_of = lambda *_: MARKET
    run_trials(open_study("demo", folder / "studies.log"), searched_of(), 2, lambda *_: None)


def test_two_processes_add_trials_to_one_study(tmp_path):
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=add_trial, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    rows = trial_rows(open_study("demo", tmp_path / "studies.log"))
    assert [row.number for row in rows] == [0, 1, 2, 3]
    assert {row.state for row in rows} == {"complete"}
    assert len({row.score for row in rows}) == 4


def test_a_trial_behind_the_median_is_pruned_and_was_counted(tmp_path, monkeypatch):
    def told(score):
        def train(*args):
            watch = args[-1]
            for seed in range(2):
                for place in range(8):
                    watch.report(seed, Checkpoint(place, score))
            tracks = {seed: ValidationTrack(np.full(39, seed), np.zeros(39)) for seed in (0, 1)}
            return fold_module.TrainedSeeds((), (score, score), [], tracks)

        return train

    study, counted, kept = open_study("demo", tmp_path / "studies.log"), [], []
    for score in (1.0, 2.0, 3.0, 4.0, 5.0, 2.9, 3.1):
        monkeypatch.setattr(search_module, "train_seeds", told(score))
        count, keep = (lambda *new: counted.append(new)), (lambda *new: kept.append(new))
        run_trials(study, searched_of(seeds=2), 1, count, keep=keep)
    rows = trial_rows(study)
    assert [row.state for row in rows] == ["complete"] * 5 + ["pruned", "complete"]
    assert len(counted) == 7
    # A pruned trial has nothing to tell; the others the mean of their seeds.
    assert [number for number, *_ in kept] == [0, 1, 2, 3, 4, 6]
    assert {tuple(returns) for *_, returns in kept} == {(0.5,) * 39}
    assert best_row(rows).number == 4
    # The first seed is never cut short.
    assert len(study.trials[5].intermediate_values) == 9
    monkeypatch.setattr(search_module, "train_seeds", told(0.0))
    run_trials(study, searched_of(seeds=2, prune=False), 1, lambda *_: None)
    assert trial_rows(study)[-1].state == "complete"


def test_a_trial_that_is_refused_says_why_and_the_search_goes_on(tmp_path, monkeypatch):
    def refuse(*_):
        msg = "the window is too short"
        raise DataError(msg)

    monkeypatch.setattr(search_module, "train_seeds", refuse)
    rows, counted = search_in(tmp_path, (2,))
    assert [(row.state, row.problem) for row in rows] == [("fail", "the window is too short")] * 2
    assert len(counted) == 2
    assert best_row(rows) is None


def test_an_interrupted_trial_failed_and_one_of_a_dead_process_too(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(search_module, "train_seeds", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search_in(tmp_path, (1,))
    study = open_study("demo", tmp_path / "studies.log")
    for process in ("alive", "gone"):
        study.ask().set_user_attr("process", process)
    fail_abandoned(study, lambda process: process == "gone")
    assert [row.state for row in trial_rows(study)] == ["fail", "running", "fail"]


@pytest.mark.parametrize(
    "address", ["nonsense", "postgresql://me:secret@127.0.0.1:1/none", "what://me:secret@host/x"]
)
def test_a_storage_that_does_not_answer_is_named_without_its_password(address):
    with pytest.raises(DataError, match="--storage") as refused:
        open_study("demo", address)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_trials_are_kept_in_a_database_too(tmp_path):
    address = f"sqlite:///{tmp_path / 'search.db'}"
    run_trials(open_study("demo", address), searched_of(), 1, lambda *_: None)
    assert [row.state for row in trial_rows(open_study("demo", address))] == ["complete"]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"pp": {"parameters": PARAMETERS}}, "did you mean 'ppo'"),
        ({"ppo": {"parameters": {"learning_rat": PARAMETERS["learning_rate"]}}}, "learning_rate"),
        ({"ppo": {"parameters": {"seeds": {"kind": "int", "low": 1, "high": 2}}}}, "'seeds'"),
        (
            {"ppo": {"parameters": {"discount": {"kind": "float", "low": 0.9, "high": 1.0}}}},
            r"discount 1\.0 is refused \(Input should be less than 1\)",
        ),
        (
            {"ppo": {"parameters": {"n_envs": {"kind": "choice", "values": [8, "many"]}}}},
            "n_envs 'many' is refused",
        ),
        (
            {"ppo": {"parameters": {"n_epochs": {"kind": "float", "low": 1.5, "high": 2.5}}}},
            r"n_epochs 1\.5 is refused",
        ),
        (
            {"ppo": {"parameters": {"n_envs": {"kind": "int", "low": 8, "high": 8}}}},
            "low 8 is not below high 8",
        ),
        (
            {
                "ppo": {
                    "parameters": {
                        "log_std_init": {"kind": "float", "low": -2, "high": 1, "log": True}
                    }
                }
            },
            "low was -2 with log",
        ),
        ({"ppo": {"parameters": {}}}, "at least 1 item"),
        ({"ppo": {"parameters": PARAMETERS, "trials": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_search_of_what_an_agent_does_not_have_is_refused(search, message):
    with pytest.raises(ValueError, match=message):
        make_strategy(policy={"search": search})
