"""Nights and sessions of a small live declaration, as its schedules ask for them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from trading_assets.bars.calendar import get_calendar
from trading_assets_tests.pipeline.live_world import (
    LiveWorld,
    asked,
    assets_of,
    failures_of,
    ny,
    open_world,
    partitions_of,
)
from trading_assets_tests.pipeline.shipped import Shipped

BARS = tuple(f"tiny_daily/{name}" for name in ("corporate_actions", "raw_bars", "validated_bars"))
FEATURES = ("tiny/features",)
SESSION_ASSETS = ("tiny/challenger", "tiny/champion", "tiny/drift_report")
PAPER = ("tiny/paper_session",)
# The last session of a month, and the first of the next one, after a weekend.
FRIDAY, MONDAY = "2022-07-29", "2022-08-01"


@dataclass
class Night:
    """What a night's ticks asked for, all of which succeeded, and why the last tick skipped."""

    asked: list[tuple[tuple[str, ...], str]]
    end: str


@dataclass
class Played:
    """Two sessions with the nights before them."""

    world: LiveWorld
    nights: dict[str, Night]
    decisions: dict[str, Night]
    friday_before_monday: tuple[str, dict[str, int]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with open_world(tmp_path_factory.mktemp("played")) as world:
        nights = {FRIDAY: play(world, "nightly_retrain", FRIDAY, "01:00")}
        decisions = {FRIDAY: play(world, "live_inference", FRIDAY, "09:15")}
        nights[MONDAY] = play(world, "nightly_retrain", MONDAY, "01:00")
        before = session_of(world, FRIDAY)
        decisions[MONDAY] = play(world, "live_inference", MONDAY, "09:15")
        yield Played(world, nights, decisions, before)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    """A world in which nothing has run and nothing may be started."""
    with open_world(tmp_path_factory.mktemp("quiet")) as opened:
        yield opened


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with open_world(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def play(world: LiveWorld, schedule: str, day: str, clock: str) -> Night:
    """Tick every ten minutes and execute what is asked for, until nothing is."""
    night = Night([], "")
    for place in range(8):
        now = ny(day, clock) + timedelta(minutes=10 * place)
        requests = world.tick(schedule, now)
        if isinstance(requests, str):
            night.end = requests
            return night
        for request in requests:
            night.asked.append((assets_of(request), partitions_of(request)))
            result = world.execute(request, now)
            assert not failures_of(result)
    return night


def session_of(world: LiveWorld, session: str) -> tuple[str, dict[str, int]]:
    """Return a recorded session's status and the rows of its tables."""
    asset, lake = "tiny/paper_session", world.lake
    summary = json.loads(lake.read_blobs(asset, session)["summary.json"])
    tables = ("decisions", "orders", "fills", "account")
    return summary["status"], {name: len(lake.read(asset, [session], name)) for name in tables}


def test_a_night_asks_for_bars_then_features_then_the_session(played: Played) -> None:
    assert played.nights[FRIDAY].asked == [
        (BARS, "2021-08-01 to 2022-07-01"),
        (FEATURES, "2021-08-01 to 2022-07-01"),
        (SESSION_ASSETS, FRIDAY),
    ]


def test_a_night_ends_when_nothing_is_due(played: Played) -> None:
    assert played.nights[FRIDAY].end.startswith(f"nothing is due for {FRIDAY}")
    assert played.nights[MONDAY].end.startswith(f"nothing is due for {MONDAY}")


def test_a_night_fetches_bars_up_to_the_last_close_and_not_beyond(played: Played) -> None:
    world = played.world
    raw = world.lake.read("tiny_daily/raw_bars", sorted(world.records("raw_bars")))
    assert raw["session"].max() == date(2022, 7, 29)
    assert world.records("raw_bars")["2022-07-01"].known_until == date(2022, 7, 29)


def test_the_next_night_renews_the_month_that_went_on_and_opens_the_new_one(played: Played) -> None:
    # Friday's session closed since, and August has begun without a session.
    assert played.nights[MONDAY].asked == [
        (BARS, "2022-07-01 to 2022-08-01"),
        (FEATURES, "2022-07-01 to 2022-08-01"),
        (SESSION_ASSETS, MONDAY),
    ]
    assert played.world.lake.read("tiny_daily/raw_bars", ["2022-08-01"]).is_empty()


def test_only_todays_session_is_asked_for_and_no_missed_one(played: Played) -> None:
    # The declaration's sessions begin on 1 July; nobody was there for those up to the 28th.
    for asset in ("challenger", "champion", "drift_report", "paper_session"):
        assert sorted(played.world.records(asset)) == [FRIDAY, MONDAY], asset


def test_a_champion_is_recorded_every_night(played: Played) -> None:
    for session in (FRIDAY, MONDAY):
        files = played.world.lake.read_blobs("tiny/champion", session)
        # The agent's ladder has not been climbed, so no challenger may be promoted.
        assert json.loads(files["champion.json"])["champion"] == "equal_weight"


def test_a_quarter_before_the_open_the_session_is_asked_for_once(played: Played) -> None:
    assert played.decisions[FRIDAY].asked == [(PAPER, FRIDAY)]
    assert played.decisions[FRIDAY].end == f"the session {FRIDAY} is recorded already"


def test_a_decided_session_awaits_its_fill_through_the_next_night(played: Played) -> None:
    status, rows = played.friday_before_monday
    assert status == "awaiting_fill"
    assert (rows["decisions"], rows["orders"], rows["fills"]) == (1, 1, 0)


def test_the_next_session_settles_the_one_before(played: Played) -> None:
    status, rows = session_of(played.world, FRIDAY)
    assert status == "settled"
    assert (rows["orders"], rows["fills"], rows["account"]) == (1, 1, 1)
    assert session_of(played.world, MONDAY)[0] == "awaiting_fill"


def test_an_order_is_filled_at_the_open_of_its_session(played: Played) -> None:
    lake = played.world.lake
    fill = lake.read("tiny/paper_session", [FRIDAY], "fills").row(0, named=True)
    bars = lake.read("tiny_daily/validated_bars", ["2022-07-01"])
    opened = bars.filter(session=date(2022, 7, 29))["open"].item()
    assert float(fill["price_usd"]) == pytest.approx(opened, abs=1e-6)


def test_a_session_begins_where_the_one_before_ended(played: Played) -> None:
    lake = played.world.lake
    summary = {
        session: json.loads(lake.read_blobs("tiny/paper_session", session)["summary.json"])
        for session in (FRIDAY, MONDAY)
    }
    assert summary[FRIDAY]["closing"] == summary[MONDAY]["opening"]


def test_the_runs_stand_on_the_instance_with_partition_and_step(played: Played) -> None:
    runs = played.world.instance.get_runs()
    assert len(runs) == 8
    assert all(run.tags["trading_assets/step"].startswith("tiny-") for run in runs)
    assert all(run.is_success for run in runs)


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
