"""Nights that replay the sessions of a small live declaration, as its schedules ask for them."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from trading_assets.paper.record import SessionRecord
from trading_assets.pipeline.paper import read_session
from trading_assets_tests.paper.replays import plant, with_account
from trading_assets_tests.pipeline.live_world import (
    LiveWorld,
    asked,
    assets_of,
    failures_of,
    ny,
    open_world,
)

PAPER, SHADOW, REPLAY = "tiny/paper_session", "tiny/shadow_session", "tiny/session_replay"
ALIKE, EXPLAINED = "sessions_replay_as_they_were_traded", "differences_add_up_to_the_divergence"
# Sessions over the end of a month.
THURSDAY, FRIDAY, MONDAY, TUESDAY = "2022-07-28", "2022-07-29", "2022-08-01", "2022-08-02"
WEDNESDAY, LAST, AFTER, NEXT = "2022-08-03", "2022-08-04", "2022-08-05", "2022-08-08"
AWAITING = "it is not settled yet: its fills or its close are not known"


@dataclass
class Week:
    """A world after its nights, and what the checks of each replay said."""

    world: LiveWorld
    checks: dict[str, dict[str, dg.AssetCheckEvaluation]] = field(default_factory=dict)

    def night(self, day: str, *, replays: bool = True) -> None:
        """Bring bars and features up to date as the schedule asks, and replay with its last run."""
        # One moment for all ticks, as a code location is made for each.
        now = ny(day, "01:00")
        for _ in range(4):
            requests = self.world.tick("nightly_retrain", now)
            [request] = requests
            assert isinstance(request, dg.RunRequest)
            if REPLAY in assets_of(request):
                # What else stands in that run is watched over elsewhere, and takes its time.
                assert set(assets_of(request)) == {"tiny/drift_report", REPLAY}
                assert request.partition_key == day
                assert not replays or not self.run(day, [REPLAY], now)
                return
            assert not failures_of(self.world.execute(request, now))

    def run(self, day: str, assets: list[str], now: datetime) -> list[str]:
        """Materialize assets of a session in one run; note what checks say, return failures."""
        selection = [dg.AssetKey(asset.split("/")) for asset in assets]
        request = dg.RunRequest(asset_selection=selection, partition_key=day)
        result = self.world.execute(request, now)
        for found in result.get_asset_check_evaluations():
            if found.asset_key.to_user_string() == REPLAY:
                self.checks.setdefault(day, {})[found.check_name] = found
        return failures_of(result)

    def decide(self, day: str) -> None:
        """Decide the day's session before its open, which settles the one before."""
        now = ny(day, "09:15")
        requests = self.world.tick("live_inference", now)
        assert asked(requests) == [((PAPER, SHADOW), day)]
        [request] = requests
        assert isinstance(request, dg.RunRequest)
        assert not failures_of(self.world.execute(request, now))

    def replayed(self, day: str) -> list[str]:
        table = self.world.lake.read(REPLAY, [day], allow_failed=True)
        return [session.isoformat() for session in table["session"]]

    def left_out(self, day: str) -> dict[str, str]:
        files = self.world.lake.read_blobs(REPLAY, day, allow_failed=True)
        return json.loads(files["summary.json"])["not_replayed"]

    def metadata(self, day: str) -> dict[str, Any]:
        key = dg.AssetKey(REPLAY.split("/"))
        wanted = dg.AssetRecordsFilter(key, asset_partitions=[day])
        [record] = self.world.instance.fetch_materializations(wanted, 1).records
        assert record.asset_materialization is not None
        found = record.asset_materialization.metadata
        return {name: value.value for name, value in found.items()}

    def rewrite(self, record: SessionRecord) -> None:
        """Store a session as if its broker had told something else."""
        day = record.session.isoformat()
        self.world.store(PAPER, day, tables=dict(record.tables), blobs=record.to_files())


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    """Nights and sessions up to the night before Tuesday, as they were."""
    # Without challengers and champions, so the declared fallback trades.
    with open_world(tmp_path_factory.mktemp("week"), "on_drift") as world:
        played = Week(world)
        for day in (THURSDAY, FRIDAY, MONDAY):
            played.night(day)
            played.decide(day)
        played.night(TUESDAY)
        yield played


def test_the_night_after_its_settlement_replays_a_session(week: Week) -> None:
    # Monday's decision settles Friday, so the night before Tuesday is the first that can.
    found = {day: week.replayed(day) for day in (THURSDAY, FRIDAY, MONDAY, TUESDAY)}
    assert found == {THURSDAY: [], FRIDAY: [], MONDAY: [THURSDAY], TUESDAY: [FRIDAY]}


def test_a_night_says_which_session_it_could_not_replay(week: Week) -> None:
    assert week.left_out(THURSDAY) == {}
    assert week.left_out(FRIDAY) == {THURSDAY: AWAITING}
    assert week.left_out(TUESDAY) == {MONDAY: AWAITING}
    assert week.metadata(FRIDAY)["replayed"] == "none"
    assert "divergence_bps" not in week.metadata(FRIDAY)


def test_the_embedded_broker_does_not_diverge(week: Week) -> None:
    for day in (MONDAY, TUESDAY):
        row = week.world.lake.read(REPLAY, [day]).row(0, named=True)
        assert abs(row["recorded_equity_usd"] - row["replayed_equity_usd"]) < Decimal("0.0001")
        assert abs(row["divergence_bps"]) < 1e-5
        assert abs(row["cumulative_bps"]) < 1e-5
        symbols = week.world.lake.read(REPLAY, [day], "replay_symbols")
        assert symbols["symbol"].to_list() == ["W1"]
        assert symbols["recorded_quantity"][0] > 0
        assert not symbols["differs"].any()
        for check in (ALIKE, EXPLAINED):
            assert week.checks[day][check].passed
        shown = week.metadata(day)
        assert abs(shown["divergence_bps"]) < 1e-5
        assert abs(shown["cumulative_bps"]) < 1e-5
        assert shown["replayed"] == row["session"].isoformat()
        assert shown["dagster/row_count"] == 1


def test_a_replay_names_what_it_read(week: Week) -> None:
    record = week.world.records("session_replay")[TUESDAY]
    read = {ref.asset for ref in record.inputs}
    assert read == {PAPER, "tiny_daily/validated_bars", "tiny_daily/corporate_actions"}
    # Friday's account comes from Thursday's, whose targets the quadratic cost reads.
    sessions = [ref.partition for ref in record.inputs if ref.asset == PAPER]
    assert sessions == [THURSDAY, FRIDAY]
    assert week.world.records("session_replay")[FRIDAY].inputs == ()


def test_replaying_again_by_hand_gives_the_same(week: Week) -> None:
    before = week.world.records("session_replay")[TUESDAY].content_digest
    assert not week.run(TUESDAY, [REPLAY], ny(TUESDAY, "01:00"))
    assert week.world.records("session_replay")[TUESDAY].content_digest == before


@dataclass
class Diverged:
    """The days after: one fill was dearer, a night replayed nothing, and a record is damaged."""

    week: Week
    equity_usd: Decimal
    tuesday: SessionRecord


@pytest.fixture(scope="module")
def diverged(week: Week) -> Diverged:
    lake = week.world.lake
    week.decide(TUESDAY)
    monday = read_session(lake, PAPER, MONDAY)
    cost = monday.tables["fills"]["cost_usd"][0]
    dearer = plant(monday, "fills", cost_usd=cost + 10_000)
    week.rewrite(with_account(dearer, Decimal(-10_000), Decimal(0)))
    week.night(WEDNESDAY, replays=False)
    week.decide(WEDNESDAY)
    tuesday = read_session(lake, PAPER, TUESDAY)
    assert (monday.status, tuesday.status) == ("settled", "settled")
    week.rewrite(plant(tuesday, "decisions", weight=math.nan))
    week.night(LAST)
    return Diverged(week, monday.tables["account"]["equity_usd"][0], tuesday)


def test_a_night_makes_up_for_one_that_replayed_nothing(diverged: Diverged) -> None:
    assert WEDNESDAY not in diverged.week.world.records("session_replay")
    assert diverged.week.replayed(LAST) == [MONDAY]


def test_a_session_that_cost_more_than_its_replay_warns(diverged: Diverged) -> None:
    week = diverged.week
    bps = -10_000 / float(diverged.equity_usd) * 1e4
    row = week.world.lake.read(REPLAY, [LAST]).row(0, named=True)
    assert row["divergence_bps"] == pytest.approx(bps, rel=1e-6)
    assert row["cumulative_bps"] == pytest.approx(bps, rel=1e-6)
    assert row["recorded_cost_usd"] - row["replayed_cost_usd"] == pytest.approx(10_000, abs=1e-4)
    warned = week.checks[LAST][ALIKE]
    assert not warned.passed
    assert warned.severity is dg.AssetCheckSeverity.WARN
    said = str(warned.metadata["problems"].value)
    assert f"{MONDAY} ended {bps:+.2f} bps from its replay" in said
    assert "W1 -10,000.00 USD" in said
    # It warns: what was found is stored, and adds up.
    assert week.checks[LAST][EXPLAINED].passed
    assert week.world.records("session_replay")[LAST].verdict == "passed"
    assert week.metadata(LAST)["divergence_bps"] == row["divergence_bps"]


def test_a_damaged_record_is_said_and_keeps_no_other_back(diverged: Diverged) -> None:
    week = diverged.week
    reason = week.left_out(LAST)[TUESDAY]
    assert reason.startswith(f"the session of {TUESDAY} recorded a weight of nan for W1; expected")
    said = str(week.checks[LAST][ALIKE].metadata["problems"].value)
    assert f"{TUESDAY} could not be replayed: {reason}" in said
    assert week.left_out(LAST)[WEDNESDAY] == AWAITING


def test_a_run_that_settles_a_session_replays_it_at_once(diverged: Diverged) -> None:
    week = diverged.week
    week.rewrite(diverged.tuesday)
    before = week.world.lake.read(REPLAY, [LAST])["cumulative_bps"][0]
    assert not week.run(LAST, [PAPER, REPLAY], ny(LAST, "09:15"))
    assert week.replayed(LAST) == [MONDAY, TUESDAY, WEDNESDAY]
    assert set(week.left_out(LAST)) == {LAST}
    cumulative = week.world.lake.read(REPLAY, [LAST])["cumulative_bps"].to_list()
    assert cumulative == pytest.approx([before] * 3, abs=1e-5)
    # Nothing is left for the next night, which has not settled that run's own session.
    week.night(AFTER)
    assert week.replayed(AFTER) == []
    assert week.left_out(AFTER) == {LAST: AWAITING}


def test_a_night_compounds_what_those_before_it_found(diverged: Diverged) -> None:
    week = diverged.week
    week.decide(AFTER)
    week.night(NEXT)
    assert week.replayed(NEXT) == [LAST]
    row = week.world.lake.read(REPLAY, [NEXT]).row(0, named=True)
    assert abs(row["divergence_bps"]) < 1e-5
    bps = -10_000 / float(diverged.equity_usd) * 1e4
    assert row["cumulative_bps"] == pytest.approx(bps, rel=1e-6)


def test_an_account_that_does_not_add_up_blocks(diverged: Diverged) -> None:
    week, tuesday = diverged.week, diverged.tuesday
    equity = tuesday.tables["account"]["equity_usd"][0]
    week.rewrite(plant(tuesday, "account", equity_usd=equity + 3))
    [failure] = week.run(LAST, [REPLAY], ny(LAST, "09:15"))
    assert EXPLAINED in failure
    record = week.world.records("session_replay")[LAST]
    assert record.verdict == "failed"
    assert "equity differs by 3." in record.reasons[0]
    assert not week.checks[LAST][EXPLAINED].passed
    week.rewrite(tuesday)
    assert not week.run(LAST, [REPLAY], ny(LAST, "09:15"))
    assert week.world.records("session_replay")[LAST].verdict == "passed"
