import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.policy.trainers import train
from trading_assets.policy.training_state import STATE_FILE, read_state
from trading_assets_tests.policy.killed_training import SHAPED, SMALL, make_training


class StoppedError(Exception):
    """Stands for the end of a process."""


def stop_at(count):
    """Return a report that ends the training when `count` checkpoints were scored."""
    seen = []

    def report(checkpoint):
        seen.append(checkpoint)
        if len(seen) == count:
            raise StoppedError

    return report


@pytest.mark.parametrize("algorithm", SMALL)
def test_a_training_that_was_stopped_ends_at_the_bytes_of_one_that_was_not(algorithm, tmp_path):
    whole = train(make_training(algorithm, None)).to_files()
    for count in (3, 2):
        with pytest.raises(StoppedError):
            train(make_training(algorithm, tmp_path, stop_at(count)))
    seen = []
    resumed = train(make_training(algorithm, tmp_path, seen.append))
    assert resumed.to_files() == whole
    # Checkpoints before the stops were not scored again.
    assert 1 <= len(seen) < len(resumed.history)


@pytest.mark.parametrize("algorithm", ["ppo", "sac"])
def test_constraint_and_draws_go_on_where_they_were(algorithm, tmp_path):
    whole = train(make_training(algorithm, None, policy=SHAPED))
    # The multiplier has moved by the end, and differs from checkpoint to checkpoint.
    assert len({point.multiplier for point in whole.history}) > 1
    with pytest.raises(StoppedError):
        train(make_training(algorithm, tmp_path, stop_at(7), SHAPED))
    seen = []
    resumed = train(make_training(algorithm, tmp_path, seen.append, SHAPED))
    assert resumed.to_files() == whole.to_files()
    assert 1 <= len(seen) < len(resumed.history)


def test_a_process_that_was_killed_goes_on_where_it_was(tmp_path):
    whole = train(make_training("ppo", None)).to_files()
    state, done = tmp_path / "state", tmp_path / "done"
    done.mkdir()
    program = "trading_assets_tests.policy.killed_training"
    command = [sys.executable, "-m", program, "ppo", str(state), str(done)]
    killed = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while not (state / STATE_FILE).exists():
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not any(done.iterdir())
    subprocess.run(command, check=True)
    assert {path.name: path.read_bytes() for path in done.iterdir()} == whole


def test_the_state_of_another_training_is_not_taken(tmp_path):
    with pytest.raises(StoppedError):
        train(make_training("ppo", tmp_path, stop_at(3)))
    other = make_training("a2c", tmp_path)
    assert read_state(tmp_path / STATE_FILE, other.key) is None
    assert train(other).to_files() == train(make_training("a2c", None)).to_files()
    shaped = make_training("a2c", tmp_path, policy=SHAPED)
    drawn = replace(other.task, randomisation=shaped.task.randomisation)
    assert replace(other, task=drawn).key != other.key
    assert replace(other, constraint=shaped.constraint).key != other.key


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / STATE_FILE).write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    with pytest.raises(DataError, match="remove it"):
        train(make_training("ppo", tmp_path))


def falling(training):
    """Return the training with scores that are best at the first checkpoint."""
    return replace(
        training, score=lambda policy: np.linspace(-1.0, -0.9, 8) * policy.selected_steps
    )


@pytest.mark.parametrize("algorithm", ["ppo", "recurrent_ppo", "sac"])
def test_a_training_that_no_longer_gets_better_ends_when_its_patience_does(algorithm, tmp_path):
    patient = make_training(algorithm, None)
    agent = patient.agent.model_copy(update={"patience": 2})
    policy = train(falling(replace(patient, agent=agent)))
    steps = [point.steps for point in policy.history]
    assert len(steps) == 3
    assert policy.selected_steps == steps[0]
    assert steps[-1] < agent.total_steps
    # One that was stopped at its last checkpoint does not go on beyond it.
    kept = replace(patient, agent=agent, state_folder=tmp_path)
    with pytest.raises(StoppedError):
        train(falling(replace(kept, report=stop_at(3))))
    again = train(falling(kept))
    assert [point.steps for point in again.history] == steps
    assert again.to_files() == policy.to_files()
    # Nor does one whose state was kept after it.
    assert train(falling(kept)).to_files() == policy.to_files()
