"""When the schedules of a declaration ask for runs, and when they do not."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets_tests.pipeline.live_world import (
    LiveWorld,
    asked,
    failures_of,
    ny,
    open_world,
)
from trading_assets_tests.pipeline.shipped import Shipped

BARS = tuple(f"tiny_daily/{name}" for name in ("corporate_actions", "raw_bars", "validated_bars"))
PAPER = ("tiny/paper_session", "tiny/shadow_session")
FRIDAY = "2022-07-29"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    """A world in which nothing has run and nothing may be started."""
    with open_world(tmp_path_factory.mktemp("quiet")) as opened:
        yield opened


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with open_world(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def test_nothing_is_asked_for_before_what_it_reads(quiet: LiveWorld) -> None:
    now = ny(FRIDAY, "01:00")
    assert asked(quiet.tick("nightly_retrain", now)) == [(BARS, "2021-08-01 to 2022-07-01")]


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_a_step_under_way_is_not_asked_for_again(
    world: LiveWorld, status: dg.DagsterRunStatus
) -> None:
    now = ny(FRIDAY, "01:00")
    (request,) = world.tick("nightly_retrain", now)
    world.start(request, status)
    later = world.tick("nightly_retrain", now + timedelta(minutes=10))
    assert later == f"nothing is due for {FRIDAY}, or it is under way"


def test_a_failed_step_is_asked_for_twice_a_night_and_again_the_next(world: LiveWorld) -> None:
    thursday = "2022-07-28"
    for minutes in ("00", "10"):
        (request,) = world.tick("nightly_retrain", ny(thursday, f"01:{minutes}"))
        world.start(request, dg.DagsterRunStatus.FAILURE)
    assert isinstance(world.tick("nightly_retrain", ny(thursday, "01:20")), str)
    # The same months are asked for the next night.
    assert asked(world.tick("nightly_retrain", ny(FRIDAY, "01:00"))) == asked([request])


@pytest.mark.parametrize("schedule", ["nightly_retrain", "live_inference"])
@pytest.mark.parametrize(
    "day",
    ["2022-07-04", "2022-07-30", "2022-07-31", "2022-09-05", "2022-11-24", "2022-12-26"],
    ids=["independence", "saturday", "sunday", "labor", "thanksgiving", "christmas observed"],
)
def test_a_closed_day_is_skipped(quiet: LiveWorld, schedule: str, day: str) -> None:
    assert quiet.tick(schedule, ny(day, "01:00")) == f"{day} is no session of XNYS"


def test_a_half_day_is_a_session(quiet: LiveWorld) -> None:
    day = "2022-11-25"
    assert asked(quiet.tick("live_inference", ny(day, "09:15"))) == [(PAPER, day)]
    assert asked(quiet.tick("nightly_retrain", ny(day, "01:00"))) == [
        (BARS, "2021-08-01 to 2022-11-01")
    ]


def test_before_the_first_test_window_no_session_is_decided(quiet: LiveWorld) -> None:
    skipped = quiet.tick("live_inference", ny("2022-06-30", "09:15"))
    assert skipped == "sessions of tiny begin with 2022-07-01, its first test window"


def ticks(quiet: LiveWorld, schedule: str, start: datetime, end: datetime) -> list[datetime]:
    """Return when Dagster's daemon would tick, in UTC."""
    found = quiet.repository(start).get_schedule_def(f"tiny_{schedule}")
    times = schedule_execution_time_iterator(
        start.timestamp(), found.cron_schedule, found.execution_timezone
    )
    return [t.astimezone(UTC) for t in takewhile(lambda t: t.timestamp() < end.timestamp(), times)]


def test_every_session_of_a_year_is_decided_a_quarter_before_its_open(quiet: LiveWorld) -> None:
    calendar = get_calendar("XNYS")
    found = ticks(quiet, "live_inference", ny("2024-01-01", "00:00"), ny("2025-01-01", "00:00"))
    sessions = calendar.sessions(date(2024, 1, 1), date(2024, 12, 31))
    opens = {calendar.open_time(session) - timedelta(minutes=15) for session in sessions}
    assert len(opens) == 252
    assert opens <= set(found)
    assert all(not calendar.is_session(tick.date()) for tick in set(found) - opens)


@pytest.mark.parametrize(
    ("friday", "monday", "before", "after"),
    [
        ("2026-03-06", "2026-03-09", "14:15", "13:15"),
        ("2026-10-30", "2026-11-02", "13:15", "14:15"),
    ],
)
def test_a_change_of_clocks_moves_the_tick_in_utc(
    quiet: LiveWorld, friday: str, monday: str, before: str, after: str
) -> None:
    found = ticks(quiet, "live_inference", ny(friday, "00:00"), ny(monday, "23:00"))
    assert [f"{t:%Y-%m-%d %H:%M}" for t in found] == [f"{friday} {before}", f"{monday} {after}"]
    nights = ticks(quiet, "nightly_retrain", ny(friday, "00:00"), ny(monday, "23:00"))
    hour = f"{int(after[:2]) - 8:02d}"
    assert f"{monday} {hour}:00" in [f"{t:%Y-%m-%d %H:%M}" for t in nights]


def test_a_night_ticks_every_ten_minutes_for_five_hours(quiet: LiveWorld) -> None:
    found = ticks(quiet, "nightly_retrain", ny("2026-06-12", "00:00"), ny("2026-06-15", "23:00"))
    first, last = ny("2026-06-12", "01:00"), ny("2026-06-12", "05:50")
    assert (len(found), found[0], found[29]) == (60, first, last)


def test_a_replayed_data_set_has_no_schedules_and_no_sensor(shipped: Shipped) -> None:
    names = [
        item.name for item in (*shipped.repository.schedule_defs, *shipped.repository.sensor_defs)
    ]
    assert not [name for name in names if name.startswith("us_equities_") and "paper" not in name]


@pytest.mark.parametrize(
    ("strategy", "status"), [("known_optimum", "RUNNING"), ("us_equities_paper", "STOPPED")]
)
def test_schedules_start_as_declared(shipped: Shipped, strategy: str, status: str) -> None:
    repository = shipped.repository
    for name in ("nightly_retrain", "live_inference"):
        assert repository.get_schedule_def(f"{strategy}_{name}").default_status.value == status
    assert repository.get_sensor_def(f"{strategy}_drift_retrain").default_status.value == status


def test_without_keys_a_run_says_which_one_is_missing(
    shipped: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALPACA_API_KEY", raising=False)
    monkeypatch.delenv("ALPACA_SECRET_KEY", raising=False)
    key = dg.AssetKey(["us_daily_alpaca", "raw_bars"])
    job = shipped.repository.get_implicit_job_def_for_assets([key])
    assert job is not None
    with dg.instance_for_test() as instance:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[key],
            partition_key="2024-01-01",
            raise_on_error=False,
        )
    (failure,) = failures_of(result)
    assert "ALPACA_API_KEY" in failure
    assert not [event for event in result.all_events if event.is_step_up_for_retry]


def test_a_night_that_waits_for_a_person_says_what_was_refused_and_what_that_blocks(
    world: LiveWorld,
) -> None:
    now = ny(FRIDAY, "01:00")
    world.store_months(now)
    nothing = {"nothing.json": b"{}"}
    bars = "tiny_daily/validated_bars"
    world.store(bars, "2022-07-01", blobs=nothing, verdict="failed", reasons=("no bars",))
    for session in ("drift_report", "session_replay", "challenger", "champion"):
        world.store(f"tiny/{session}", FRIDAY, blobs=nothing)
    told = world.tick("nightly_retrain", now)
    assert isinstance(told, str)
    assert told.startswith(f"nothing is due for {FRIDAY}, or it is under way; ")
    assert f"{bars} 2022-07-01 is refused: no bars" in told
