"""A sample of altered bundles on every run, and all of them where time is allowed."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from trading_assets.governance.champion import Decider, champion_problems, decide_champion
from trading_assets.governance.promotion import GateResult
from trading_assets_tests.faults import __main__ as whole
from trading_assets_tests.faults.bundles import Times, sweep_bundles
from trading_assets_tests.faults.hostile_files import pickled
from trading_assets_tests.faults.trained_bundles import digest_of, trained_bundles


def test_altered_bundles_are_refused_in_one_sentence_and_run_nothing(tmp_path: Path) -> None:
    tally = sweep_bundles(tmp_path, Times(bit_flips=3, truncations=4), seed=1, step=40)
    assert not tally.harmed, tally.describe()
    assert tally.tried >= whole.FEWEST_BUNDLES


@pytest.mark.slow
def test_every_altered_bundle_is_refused_in_one_sentence_and_runs_nothing(tmp_path: Path) -> None:
    tally = sweep_bundles(tmp_path, whole.TIMES, seed=2)
    assert not tally.harmed, tally.describe()
    assert tally.tried >= 10 * whole.FEWEST_BUNDLES


@pytest.mark.parametrize("label", ["linear", "network", "blind"])
def test_an_altered_champion_is_named_as_a_problem_and_does_not_trade(label: str) -> None:
    files = trained_bundles()[label]
    gate = GateResult("beats_champion", True, 0.01, 0.1, "p-value")
    decider = Decider(date(2026, 11, 20), "cash", datetime(2026, 11, 20, tzinfo=UTC), "a test")
    record = decide_champion(None, digest_of(files), [gate], decider)
    assert champion_problems(record, files) == []
    for name in files:
        [problem] = champion_problems(record, {**files, name: files[name][:-1]})
        assert "expected" in problem
        assert "restore" in problem


def test_the_payload_writes_its_canary_where_it_is_unpickled(tmp_path: Path) -> None:
    import pickle

    canary = tmp_path / "canary"
    pickle.loads(pickled(canary))
    assert canary.is_file()
