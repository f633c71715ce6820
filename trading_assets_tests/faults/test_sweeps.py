"""A sample of each sweep on every run of the tests, and the whole of it where time is allowed."""

from pathlib import Path

import pytest

from trading_assets_tests.faults import __main__ as whole
from trading_assets_tests.faults.corruption import Amounts, sweep_corruption
from trading_assets_tests.faults.dagster_backfill import sweep_dagster_kills
from trading_assets_tests.faults.full_disk import sweep_file_limits, sweep_small_disk
from trading_assets_tests.faults.held_locks import sweep_held_locks
from trading_assets_tests.faults.kills import sweep_crash_points, sweep_random_kills
from trading_assets_tests.faults.log_alterations import sweep_alterations
from trading_assets_tests.faults.overlap import sweep_overlaps, sweep_threads
from trading_assets_tests.faults.system_calls import sweep_kills, sweep_refusals
from trading_assets_tests.faults.tally import Tally

FEW = Amounts(bit_flips=3, truncations=4, zeroed_blocks=2)


def assert_no_harm(tally: Tally, at_least: int) -> None:
    assert not tally.harmed, tally.describe()
    assert tally.tried >= at_least


def test_altered_tables_are_refused_by_name_and_healed(tmp_path: Path) -> None:
    assert_no_harm(sweep_corruption(tmp_path, FEW, seed=1, step=4), at_least=20)


def test_altered_files_beside_tables_are_refused_by_name_and_healed(tmp_path: Path) -> None:
    assert_no_harm(sweep_corruption(tmp_path, FEW, seed=1, of_tables=False), at_least=20)


@pytest.mark.usefixtures("strace")
def test_a_commit_killed_at_a_system_call_is_whole_or_absent(tmp_path: Path) -> None:
    tally = sweep_kills(tmp_path / "some", ["fsync", "rename"], step=2)
    tally.merge(sweep_kills(tmp_path / "few", ["pwrite64"], step=16))
    assert_no_harm(tally, at_least=12)


@pytest.mark.usefixtures("strace")
def test_a_disk_that_refuses_a_system_call_is_one_sentence(tmp_path: Path) -> None:
    tally = sweep_refusals(tmp_path / "some", {"fsync": "EIO"}, step=5)
    tally.merge(sweep_refusals(tmp_path / "few", {"pwrite64": "ENOSPC"}, step=30))
    assert_no_harm(tally, at_least=8)


def test_backfills_killed_at_random_moments_end_as_if_left_alone(tmp_path: Path) -> None:
    assert_no_harm(sweep_random_kills(tmp_path, 4, seed=1), at_least=4)


def test_every_alteration_of_an_audit_log_is_found_at_its_line(tmp_path: Path) -> None:
    assert_no_harm(sweep_alterations(tmp_path, 400, seed=1), at_least=400)


def test_two_backfills_at_once_lose_nothing(tmp_path: Path) -> None:
    assert_no_harm(sweep_overlaps(tmp_path, range(1, 2)), at_least=1)


def test_eight_threads_on_one_partition_lose_nothing(tmp_path: Path) -> None:
    assert_no_harm(sweep_threads(tmp_path, 2), at_least=2)


def test_a_disk_of_one_megabyte_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    tally = sweep_small_disk(tmp_path)
    if tally is None:
        pytest.skip("unshare and mount are not allowed here")
    assert_no_harm(tally, at_least=1)


def test_held_locks_refuse_within_the_seconds_allowed_and_leave_nothing(tmp_path: Path) -> None:
    assert_no_harm(sweep_held_locks(tmp_path), at_least=4)


@pytest.mark.slow
def test_a_thousand_altered_files_are_refused_by_name_and_healed(tmp_path: Path) -> None:
    tally = sweep_corruption(tmp_path, whole.AMOUNTS, seed=2)
    assert_no_harm(tally, at_least=whole.FEWEST_ALTERED)


@pytest.mark.slow
def test_a_commit_killed_at_any_crash_point_is_whole_or_absent(tmp_path: Path) -> None:
    assert_no_harm(sweep_crash_points(tmp_path), at_least=14)


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_a_commit_killed_at_any_system_call_is_whole_or_absent(tmp_path: Path) -> None:
    assert_no_harm(sweep_kills(tmp_path), at_least=100)


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_a_disk_that_refuses_any_change_is_one_sentence(tmp_path: Path) -> None:
    assert_no_harm(sweep_refusals(tmp_path, whole.REFUSED_CHANGES), at_least=200)


@pytest.mark.slow
def test_fifty_backfills_killed_at_random_end_as_if_left_alone(tmp_path: Path) -> None:
    assert_no_harm(sweep_random_kills(tmp_path, 50, seed=2), at_least=50)


@pytest.mark.slow
def test_runs_of_dagster_killed_at_random_end_as_if_left_alone(tmp_path: Path) -> None:
    assert_no_harm(sweep_dagster_kills(tmp_path, 5, seed=2), at_least=5)


@pytest.mark.slow
def test_no_limit_of_file_sizes_leaves_half_a_partition(tmp_path: Path) -> None:
    assert_no_harm(sweep_file_limits(tmp_path, step=10_000), at_least=8)


@pytest.mark.slow
def test_backfills_at_once_lose_nothing_from_any_start(tmp_path: Path) -> None:
    assert_no_harm(sweep_overlaps(tmp_path, range(10, 16)), at_least=6)
