"""The drift sensor: a failed drift check starts one retrain, once and not too often."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import numpy as np
import polars as pl
import pytest

from trading_assets_tests.pipeline.live_world import LiveWorld, asked, failures_of, ny, open_world

CHALLENGER = ("tiny/challenger", "tiny/champion")
CHECK = "features_have_not_drifted"
FEATURES = ("signal", "log_return_1", "log_return_5", "ewma_volatility")
THURSDAY, FRIDAY, SATURDAY, MONDAY = "2022-07-28", "2022-07-29", "2022-07-30", "2022-08-01"
# The fifth session after Friday.
NEXT_FRIDAY = "2022-08-05"


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    with open_world(tmp_path_factory.mktemp("drift"), retrain="on_drift") as opened:
        yield opened


def store_report(world: LiveWorld, session: str, *, is_alarm: bool, share: float = 0.5) -> None:
    """Store a drift report with its check's result, as a night leaves them."""
    summary = {"alarm": is_alarm, "drifted_share": share, "session": session}
    blobs = {"summary.json": json.dumps(summary).encode()}
    world.store("tiny/drift_report", session, blobs=blobs)
    world.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(["tiny", "drift_report"]),
            check_name=CHECK,
            passed=not is_alarm,
            severity=dg.AssetCheckSeverity.WARN,
        )
    )


def store_challenger(world: LiveWorld, session: str) -> None:
    world.store("tiny/challenger", session, blobs={"summary.json": b"{}"})


def night(day: str) -> datetime:
    return ny(day, "02:00")


def only(requests: list[dg.RunRequest] | str) -> dg.RunRequest:
    assert not isinstance(requests, str), requests
    (request,) = requests
    return request


def shifted_features(world: LiveWorld, last: str, by: float) -> None:
    """Store features whose last 30 sessions lie `by` higher than those before."""
    rng = np.random.default_rng(5)
    calendar = world.declared.graph.periods.calendar
    sessions = calendar.sessions(date(2021, 8, 2), date.fromisoformat(last))
    shift = np.where(np.arange(len(sessions)) >= len(sessions) - 30, by, 0.0)
    closes = [datetime(day.year, day.month, day.day, 20, tzinfo=UTC) for day in sessions]
    times = pl.Series(closes, dtype=pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(
        {
            "symbol": ["W1"] * len(sessions),
            "session": sessions,
            "event_time": times,
            "knowledge_time": times,
            **{
                name: (rng.standard_normal(len(sessions)) + shift).astype(np.float32)
                for name in FEATURES
            },
        }
    )
    for (month,), rows in frame.group_by(pl.col("session").dt.truncate("1mo"), maintain_order=True):
        world.store("tiny/features", str(month), tables={"rows": rows})


def run_report(world: LiveWorld, session: str) -> dg.ExecuteInProcessResult:
    request = dg.RunRequest(
        partition_key=session, asset_selection=[dg.AssetKey(["tiny", "drift_report"])]
    )
    result = world.execute(request, ny(session, "01:30"))
    assert not failures_of(result)
    return result


def test_without_a_check_nothing_starts(world: LiveWorld) -> None:
    assert world.watch(night(FRIDAY)) == "the drift check has not run yet"


def test_without_drift_nothing_starts(world: LiveWorld) -> None:
    store_report(world, FRIDAY, is_alarm=False)
    assert world.watch(night(FRIDAY)) == "no drift since the last retrain"


def test_a_failed_drift_check_asks_for_one_challenger_of_the_session(world: LiveWorld) -> None:
    store_report(world, FRIDAY, is_alarm=True)
    request = only(world.watch(night(FRIDAY)))
    assert asked([request]) == [(CHALLENGER, FRIDAY)]
    assert request.run_key == f"tiny-drift-{FRIDAY}-{FRIDAY}"
    assert request.tags["trigger"] == "drift"
    assert request.tags["reason"] == f"50% of features drifted on {FRIDAY}"


def test_an_alarm_has_one_run_key_a_session(world: LiveWorld) -> None:
    # The daemon starts a run key once: a retrain that failed is tried again the next session.
    store_report(world, THURSDAY, is_alarm=True)
    first, again = (only(world.watch(ny(THURSDAY, clock))) for clock in ("02:00", "15:00"))
    assert first.run_key == again.run_key == f"tiny-drift-{THURSDAY}-{THURSDAY}"
    store_report(world, FRIDAY, is_alarm=True)
    assert only(world.watch(night(FRIDAY))).run_key == f"tiny-drift-{THURSDAY}-{FRIDAY}"


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_while_a_challenger_is_being_made_no_other_is_asked_for(
    world: LiveWorld, status: dg.DagsterRunStatus
) -> None:
    store_report(world, FRIDAY, is_alarm=True)
    world.start(only(world.watch(night(FRIDAY))), status)
    assert world.watch(night(FRIDAY)) == "a challenger is being made"


def test_a_challenger_settles_the_alarm(world: LiveWorld) -> None:
    store_report(world, FRIDAY, is_alarm=True)
    store_challenger(world, FRIDAY)
    assert world.watch(night(FRIDAY)) == "no drift since the last retrain"


def test_a_new_alarm_waits_for_the_cooldown_and_then_starts(world: LiveWorld) -> None:
    store_challenger(world, FRIDAY)
    store_report(world, MONDAY, is_alarm=True)
    waits = world.watch(night(MONDAY))
    assert isinstance(waits, str)
    assert waits.startswith(f"1 sessions since the retrain of {FRIDAY}; a new one may start")
    request = only(world.watch(night(NEXT_FRIDAY)))
    assert asked([request]) == [(CHALLENGER, NEXT_FRIDAY)]
    assert request.run_key == f"tiny-drift-{MONDAY}-{NEXT_FRIDAY}"


def test_on_a_closed_day_the_next_session_is_served(world: LiveWorld) -> None:
    store_report(world, FRIDAY, is_alarm=True)
    assert asked(world.watch(ny(SATURDAY, "12:00"))) == [(CHALLENGER, MONDAY)]


def test_a_shift_of_the_features_fails_the_check_but_not_the_run(world: LiveWorld) -> None:
    shifted_features(world, THURSDAY, by=3.0)
    result = run_report(world, FRIDAY)
    (evaluation,) = result.get_asset_check_evaluations()
    assert result.success
    assert (evaluation.check_name, evaluation.passed) == (CHECK, False)
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert only(world.watch(night(FRIDAY))).run_key == f"tiny-drift-{FRIDAY}-{FRIDAY}"


def test_features_that_stay_as_they_were_pass_the_check(world: LiveWorld) -> None:
    shifted_features(world, THURSDAY, by=0.0)
    (evaluation,) = run_report(world, FRIDAY).get_asset_check_evaluations()
    assert evaluation.passed
    assert world.watch(night(FRIDAY)) == "no drift since the last retrain"


def test_a_strategy_that_retrains_on_drift_makes_no_nightly_challenger(world: LiveWorld) -> None:
    now = ny(FRIDAY, "01:00")
    world.store_months(now)
    due = ("tiny/drift_report", "tiny/session_replay")
    assert asked(world.tick("nightly_retrain", now)) == [(due, FRIDAY)]
    store_report(world, FRIDAY, is_alarm=False)
    world.store("tiny/session_replay", FRIDAY, blobs={"summary.json": b"{}"})
    assert isinstance(world.tick("nightly_retrain", now), str)
