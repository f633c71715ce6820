"""Reports of folds that were refused, and of trials that the ledger lacks."""

import sqlite3
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from trading_assets.lake import tables
from trading_assets.lake.store import Trial
from trading_assets.pipeline.ledger_check import find_uncounted
from trading_assets.survey import State, Survey
from trading_assets_tests.pipeline import live_world, test_forecast_ablation
from trading_assets_tests.pipeline.live_world import LiveWorld, ny, open_world
from trading_assets_tests.pipeline.test_forecast_ablation import FOLD, MONTHS, materialize

DATA, REPORT, BACKTEST = "tiny_daily", "tiny/walk_forward_report", "tiny/backtest"
NEXT_FOLD, LATER = "2022-10-01", ny("2023-01-05", "01:00")
FOLD_ASSETS = ["forecaster", "forecasts", "policy/ppo", "references", "backtest"]
WHY = "equity of ppo/seed-0 is 3 USD beside its parts"
CHECK = "every_trial_is_counted"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    ends = zip(("start", "end"), MONTHS, strict=True)
    months = {f"dagster/asset_partition_range_{end}": month for end, month in ends}
    with pytest.MonkeyPatch.context() as patch:
        text = live_world.STRATEGY.replace("train_months: 6", "train_months: 9")
        patch.setattr(live_world, "STRATEGY", text)
        with open_world(tmp_path_factory.mktemp("uneven")) as world:
            materialize(world, ["raw_bars", "corporate_actions", "validated_bars"], tags=months)
            materialize(world, ["features"], tags=months)
            materialize(world, FOLD_ASSETS, partition_key=FOLD)
            yield world


@pytest.fixture
def world(finished: LiveWorld) -> Iterator[LiveWorld]:
    """The finished world, with the manifest put back as it was afterwards."""
    manifest, kept = (
        sqlite3.connect(finished.root / "data" / "manifest.sqlite"),
        sqlite3.connect(""),
    )
    manifest.backup(kept)
    yield finished
    kept.backup(manifest)
    for connection in (manifest, kept):
        connection.close()


def test_a_report_names_a_refused_fold_with_its_reasons_and_judges_the_others(
    world: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store(BACKTEST, NEXT_FOLD, blobs={"n.json": b"{}"}, verdict="failed", reasons=(WHY,))
    monkeypatch.setattr(test_forecast_ablation, "NOW", LATER)
    materialize(world, ["walk_forward_report"], is_good=False)
    record = world.lake.record(REPORT)
    said = f"every portfolio lacks fold {NEXT_FOLD}: its backtest was refused: {WHY}"
    assert record is not None
    assert (record.verdict, record.reasons) == ("failed", (said,))
    page = world.lake.read_blobs(REPORT, allow_failed=True)["report.html"].decode()
    assert said in page
    assert page.index(said) < page.index("Growth of 1 USD")
    # The refusal is among what the report says, so another one makes it stale.
    read = [ref.partition for ref in record.inputs if ref.asset == BACKTEST]
    assert read == [FOLD, NEXT_FOLD]
    assert state_of_report(world) is State.REFUSED
    world.store(BACKTEST, NEXT_FOLD, blobs={"m.json": b"{}"}, verdict="failed", reasons=("other",))
    assert state_of_report(world) is State.STALE


def state_of_report(world: LiveWorld) -> State:
    survey = Survey(world.declared.graphs, world.lake.records, LATER)
    graph, node = world.declared.upstream(REPORT)
    return survey.state(graph, node, "").state


def test_a_report_names_what_a_fold_needs_that_was_refused(
    world: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = "tiny/policy/ppo"
    world.store(policy, NEXT_FOLD, blobs={"n.json": b"{}"}, verdict="failed", reasons=(WHY,))
    monkeypatch.setattr(test_forecast_ablation, "NOW", LATER)
    materialize(world, ["walk_forward_report"], is_good=False)
    record = world.lake.record(REPORT)
    assert record is not None
    assert record.reasons == (
        f"every portfolio lacks fold {NEXT_FOLD}: its backtest cannot be made: it needs {policy}"
        f" {NEXT_FOLD}, which was refused",
    )


def test_a_fold_traded_by_a_policy_whose_successor_was_refused_is_left_out(
    world: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backtest that cannot follow its policy stands for nothing that is declared now."""
    policy, nothing = "tiny/policy/ppo", {"n.json": b"{}"}
    world.store(policy, NEXT_FOLD, blobs=nothing)
    read = world.lake.inputs_for(policy, [NEXT_FOLD])
    world.store(BACKTEST, NEXT_FOLD, blobs=nothing, inputs=read)
    world.store(policy, NEXT_FOLD, blobs={"m.json": b"{}"}, verdict="failed", reasons=(WHY,))
    monkeypatch.setattr(test_forecast_ablation, "NOW", LATER)
    materialize(world, ["walk_forward_report"], is_good=False)
    record = world.lake.record(REPORT)
    assert record is not None
    assert record.reasons == (
        f"every portfolio lacks fold {NEXT_FOLD}: its backtest cannot be brought up to date: it"
        f" needs {policy} {NEXT_FOLD}, which was refused",
    )
    assert [ref.partition for ref in record.inputs if ref.asset == BACKTEST] == [FOLD]
    # What was refused is read instead, so that a rebuild refuses it too.
    read = [ref.partition for ref in record.inputs if ref.asset == policy]
    assert read == [NEXT_FOLD]


def test_a_report_without_a_fold_whose_forecaster_passed_is_as_new_as_it_can_be(
    world: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"n.json": b"{}"}
    world.store("tiny/forecaster", NEXT_FOLD, blobs=nothing)
    world.store("tiny/policy/ppo", NEXT_FOLD, blobs=nothing, verdict="failed", reasons=(WHY,))
    monkeypatch.setattr(test_forecast_ablation, "NOW", LATER)
    materialize(world, ["walk_forward_report"], is_good=False)
    assert state_of_report(world) is State.REFUSED
    world.store("tiny/policy/ppo", NEXT_FOLD, blobs={"m.json": b"{}"}, verdict="failed")
    assert state_of_report(world) is State.STALE


def test_a_report_of_refused_folds_alone_says_why_there_is_none(
    world: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store(BACKTEST, FOLD, blobs={"n.json": b"{}"}, verdict="failed", reasons=(WHY,))
    result = materialize(world, ["walk_forward_report"], is_good=False)
    (failure,) = live_world.failures_of(result)
    assert (
        f"given 0 folds; expected at least one: backtest a fold first; fold {FOLD}: its" in failure
    )
    assert WHY in failure


def forget_trials(world: LiveWorld, *names: str) -> None:
    engine = sa.create_engine(f"sqlite:///{world.root / 'data' / 'manifest.sqlite'}")
    with engine.begin() as connection:
        for name in names:
            connection.execute(sa.delete(getattr(tables, name)))
    engine.dispose()


def judged(world: LiveWorld) -> tuple[bool, tuple[str, ...]]:
    result = materialize(world, ["walk_forward_report"], is_good=False)
    (check,) = [own for own in result.get_asset_check_evaluations() if own.check_name == CHECK]
    record = world.lake.record(REPORT)
    assert record is not None
    return check.passed, record.reasons


def test_a_ledger_with_every_trial_passes(world: LiveWorld) -> None:
    assert judged(world) == (True, ())


def test_a_ledger_of_another_strategy_alone_is_refused_and_the_missing_trial_named(
    world: LiveWorld,
) -> None:
    forget_trials(world, "trial_returns", "trials")
    world.lake.register_trial(Trial(DATA, "other", "ppo", "d" * 64, 1))
    passed, reasons = judged(world)
    assert not passed
    assert reasons == (f"ppo/ensemble of fold {FOLD} is not among the counted trials",)


def test_a_trial_without_the_returns_of_a_fold_is_named(world: LiveWorld) -> None:
    forget_trials(world, "trial_returns")
    passed, reasons = judged(world)
    assert not passed
    assert reasons == (f"ppo/ensemble of fold {FOLD} is counted without its returns",)


def test_a_policy_trained_again_since_leaves_the_trial_that_was_traded_the_expected_one(
    world: LiveWorld,
) -> None:
    lake = world.lake
    backtest = lake.read(BACKTEST, [FOLD], "equity")
    world.store("tiny/policy/ppo", FOLD, blobs={"n.json": b"{}"})
    counted = lake.counted_trials(DATA)
    assert find_uncounted(lake, world.declared, {FOLD: backtest}, counted) == []
