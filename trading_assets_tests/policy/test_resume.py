import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.policy.trainers import train
from trading_assets.policy.training_state import STATE_FILE, read_state
from trading_assets_tests.policy.killed_training import SMALL, make_training


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


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / STATE_FILE).write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    with pytest.raises(DataError, match="remove it"):
        train(make_training("ppo", tmp_path))
