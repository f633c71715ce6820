"""Two nights and sessions of a small live declaration, as its schedules ask for them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg
import pytest

from trading_assets.paper.account_folder import account_folder
from trading_assets.paper.alerts import read_alerts
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets_tests.pipeline.live_world import (
    LiveWorld,
    assets_of,
    failures_of,
    ny,
    open_world,
    partitions_of,
)

BARS = tuple(f"tiny_daily/{name}" for name in ("corporate_actions", "raw_bars", "validated_bars"))
FEATURES = ("tiny/features",)
SESSION_ASSETS = (
    "tiny/challenger",
    "tiny/champion",
    "tiny/drift_report",
    "tiny/session_replay",
)
PAPER = ("tiny/paper_session", "tiny/shadow_session")
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
    for asset in (name.removeprefix("tiny/") for name in (*SESSION_ASSETS, *PAPER)):
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


def test_the_newest_challenger_decides_in_shadow_beside_the_fallback(played: Played) -> None:
    lake = played.world.lake
    for session in (FRIDAY, MONDAY):
        summary = json.loads(lake.read_blobs("tiny/shadow_session", session)["summary.json"])
        challenger = json.loads(lake.read_blobs("tiny/challenger", session)["summary.json"])
        assert summary["decided_by"] == challenger["digest"]
        assert summary["champion"] == "equal_weight"
        assert summary["distance"] >= 0.0
        log = (played.world.root / "data" / "paper" / "tiny" / f"{session}.jsonl").read_text()
        assert "shadow" not in log


def test_a_halted_account_fails_its_check_and_is_told_once(played: Played) -> None:
    folder = account_folder(played.world.root / "data", "tiny")
    switch = KillSwitch(folder, SystemClock())
    switch.halt("ann", "drawdown")
    paper = dg.AssetKey(["tiny", "paper_session"])
    for _ in range(2):
        request = dg.RunRequest(asset_selection=[paper], partition_key=MONDAY)
        result = played.world.execute(request, ny(MONDAY, "09:40"))
        assert not failures_of(result)
        checks = {found.check_name: found for found in result.get_asset_check_evaluations()}
        assert not checks["account_may_trade"].passed
        assert checks["account_may_trade"].severity is dg.AssetCheckSeverity.ERROR
    told = [alert for alert in read_alerts(folder) if alert.kind == "halted"]
    assert [alert.session for alert in told] == [MONDAY]
    assert "by ann: drawdown" in told[0].reason
    switch.rearm("ann", "checked")
    result = played.world.execute(request, ny(MONDAY, "09:41"))
    checks = {found.check_name: found for found in result.get_asset_check_evaluations()}
    assert checks["account_may_trade"].passed


def test_a_session_shows_its_costs_pictures_and_why(played: Played) -> None:
    wanted = dg.AssetRecordsFilter(
        dg.AssetKey(["tiny", "paper_session"]), asset_partitions=[MONDAY]
    )
    records = played.world.instance.fetch_materializations(wanted, 5).records
    shown = [record.asset_materialization.metadata for record in records]
    assert all(found["costs_of_session"].value == FRIDAY for found in shown[-1:])
    assert "data:image/png;base64," in str(shown[-1]["equity"].value)
    assert {"shortfall_usd", "shortfall_bps", "weights", "shortfall"} <= shown[-1].keys()
