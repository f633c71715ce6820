"""Seeds trained at once: the same policies, and nothing lost of what a seed says."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from trading_assets.agent_specs import PpoSpec
from trading_assets.errors import DataError
from trading_assets.policy import seeds
from trading_assets.policy.seeds import SeedInputs, train_every_seed
from trading_assets.policy.training import TrainingWatch
from trading_assets_tests.policy.tasks import days_of, make_strategy, make_tables, random_market

AGENT = PpoSpec(seeds=3, total_steps=2_048, n_envs=8, n_steps=16, batch_size=64, episode_bars=16)


def make_inputs(agent=AGENT):
    market = random_market(120)
    days = days_of(market)
    strategy = make_strategy()
    return SeedInputs(market, *make_tables(market), days[20:90], days[90:115], strategy, agent)


@pytest.fixture
def _long_enough(monkeypatch):
    monkeypatch.setattr(seeds, "LEAST_STEPS_OF_A_PROCESS", 1)


@pytest.mark.usefixtures("_long_enough")
def test_seeds_in_processes_are_those_trained_one_by_one():
    told = {False: [], True: []}
    trained = {
        is_apart: train_every_seed(
            make_inputs(),
            TrainingWatch(report=lambda seed, point, to=told[is_apart]: to.append((seed, point))),
            2 if is_apart else 1,
        )
        for is_apart in (False, True)
    }
    one_by_one, apart = ([policy.to_files() for policy in trained[key]] for key in (False, True))
    assert apart == one_by_one
    assert [policy.seed for policy in trained[True]] == [0, 1, 2]
    assert sorted(told[True], key=lambda each: (each[0], each[1].steps)) == told[False]


@pytest.mark.usefixtures("_long_enough")
def test_what_a_seed_refuses_is_said_with_its_number():
    inputs = make_inputs()
    late = replace(inputs, validation_sessions=inputs.train_sessions[-10:])
    with pytest.raises(DataError, match=r"seed \d: validation starts on"):
        train_every_seed(late, TrainingWatch(), 2)


@pytest.mark.usefixtures("_long_enough")
def test_a_process_that_ends_too_early_is_named(tmp_path):
    # The folder of a state is a file: an error that is no user's ends the process.
    (tmp_path / "seed-0").write_text("")
    (tmp_path / "seed-1").write_text("")
    with pytest.raises(DataError, match=r"trained seed \d ended with exit code 1"):
        train_every_seed(make_inputs(), TrainingWatch(tmp_path), 2)


def test_no_process_outlives_the_one_that_began_it(tmp_path):
    program = tmp_path / "begin.py"
    program.write_text(
        "from trading_assets.policy import seeds\n"
        "from trading_assets.policy.training import TrainingWatch\n"
        "from trading_assets_tests.policy.test_seeds import AGENT, make_inputs\n"
        "if __name__ == '__main__':\n"
        "    long = AGENT.model_copy(update={'total_steps': 10_000_000, 'seeds': 2})\n"
        "    seeds.train_every_seed(make_inputs(long), TrainingWatch(), 2)\n"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(program)], env={**os.environ, "PYTHONPATH": str(root)}
    )
    deadline = time.monotonic() + 120
    while len(children := children_of(parent.pid)) < 2:
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.1)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children_of(parent):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = (stat.parent / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and "spawn_main" in command:
            found.append(int(stat.parent.name))
    return found
