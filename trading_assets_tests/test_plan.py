"""What is missing or stale, decided from the manifest alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import pytest

from trading_assets.asset_nodes import AssetGraph, AssetNode
from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.errors import UserError
from trading_assets.graph import full_graph
from trading_assets.periods import Axis
from trading_assets.plan import Plan, Target, plan
from trading_assets.survey import State, Survey
from trading_assets.upstream import upstream_keys

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Input:
    asset: str
    partition: str
    content_digest: str


@dataclass(frozen=True)
class Record:
    content_digest: str
    code_version: str
    declaration_digest: str
    verdict: str = "passed"
    reasons: tuple[str, ...] = ()
    known_until: date | None = None
    inputs: tuple[Input, ...] = ()


@dataclass
class Manifest:
    """A manifest in memory, filled as if every run had succeeded."""

    graphs: tuple[AssetGraph, ...]
    now: datetime = NOW
    stored: dict[str, dict[str, Record]] = field(default_factory=dict)

    def records(self, asset: str) -> Mapping[str, Record]:
        return self.stored.get(asset, {})

    def settle(self, target: Target | None = None) -> int:
        """Run what is planned until nothing is; return the number of runs."""
        runs = 0
        for _ in range(20):
            planned = plan(self.graphs, self.records, self.now, target)
            if not planned.waves:
                return runs
            for step in planned.waves[0]:
                runs += 1
                for key in self._in_order(step.assets):
                    node = self.node(key)
                    for part in step.partitions if node.axis is not Axis.NONE else ("",):
                        self.write(node, part)
        pytest.fail("the plan does not settle")

    def _in_order(self, assets: tuple[str, ...]) -> list[str]:
        return [n.key for g in self.graphs for n in g.nodes if n.key in assets]

    def node(self, key: str) -> AssetNode:
        return next(n for g in self.graphs for n in g.nodes if n.key == key)

    def write(self, node: AssetNode, key: str, content: str | None = None) -> None:
        inputs = tuple(
            Input(asset, part, self.stored[asset][part].content_digest)
            for asset, part in self._read(node, key)
            if part in self.stored.get(asset, {})
        )
        digest = content or "-".join([node.key, key, *(i.content_digest[-6:] for i in inputs[:2])])
        self.stored.setdefault(node.key, {})[key] = Record(
            digest, node.code_version, node.declaration_digest, inputs=inputs
        )

    def _read(self, node: AssetNode, key: str) -> list[tuple[str, str]]:
        """Return what a run reads: of folds that are left out only what was refused, as reports."""
        survey = Survey(self.graphs, self.records, self.now)
        places = {n.key: (g, n) for g in self.graphs for n in g.nodes}
        upstream = upstream_keys(self.graphs, node, key, self.now)
        left_out: dict[str, tuple[str, str]] = {}
        for edge in node.reads:
            for part in upstream[edge.asset] if edge.reads_all and not edge.is_optional else ():
                state = survey.state(*places[edge.asset], part)
                if state.is_barred:
                    left_out[part] = state.blocked_by or (edge.asset, part)
        read = [(asset, part) for asset, parts in upstream.items() for part in parts]
        return [*(pair for pair in read if pair[1] not in left_out), *left_out.values()]


@pytest.fixture
def manifest() -> Manifest:
    declarations = load_declarations([PACKAGED], "development")
    return Manifest(full_graph(declarations, "us_equities"))


def states(planned: Plan, asset: str) -> dict[str, State]:
    return {s.partition: s.state for s in planned.states if s.asset == asset}


def test_an_empty_manifest_misses_everything(manifest: Manifest) -> None:
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert {s.state for s in planned.states} == {State.MISSING}
    assert len(states(planned, "us_daily/raw_bars")) == 157
    assert list(states(planned, "us_equities/backtest")) == [
        f"{year}-01-01" for year in (2009, 2010, 2011, 2012)
    ]
    assert list(states(planned, "us_equities/paper_session")) == ["2013-03-01"]


def test_all_months_are_one_run_and_each_fold_is_one(manifest: Manifest) -> None:
    planned = plan(manifest.graphs, manifest.records, NOW)
    bars, features, folds, last = planned.waves
    assert [len(wave) for wave in planned.waves] == [1, 1, 5, 2]
    assert len(bars[0].partitions) == len(features[0].partitions) == 157
    assert folds[0].assets == tuple(
        f"us_equities/{name}"
        for name in (
            "forecaster",
            "forecasts",
            "policy/ppo",
            "forecast_ablation/ppo",
            "references",
            "backtest",
            "explanation",
            "stress",
        )
    )
    assert folds[-1].assets == ("us_equities/cross_validation",)
    assert {step.title for step in last} == {
        "write the walk-forward report",
        "trade session 2013-03-01",
    }


def test_after_all_runs_nothing_is_due(manifest: Manifest) -> None:
    assert manifest.settle() == 9
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert {s.state for s in planned.states} == {State.FRESH}
    assert planned.waves == ()


def test_a_deleted_month_is_the_only_run_when_its_content_comes_back_the_same(
    manifest: Manifest,
) -> None:
    manifest.settle()
    del manifest.stored["us_daily/raw_bars"]["2005-05-01"]
    step = plan(manifest.graphs, manifest.records, NOW).waves[0][0]
    assert "us_daily/raw_bars" in step.assets
    assert manifest.settle() <= 3
    assert plan(manifest.graphs, manifest.records, NOW).waves == ()


def test_a_changed_bar_reaches_every_reader_and_no_one_else(manifest: Manifest) -> None:
    manifest.settle()
    node = manifest.node("us_daily/validated_bars")
    manifest.write(node, "2012-12-01", content="another")
    planned = plan(manifest.graphs, manifest.records, NOW)
    stale = states(planned, "us_equities/features")
    assert [key for key, state in stale.items() if state is State.STALE] == [
        "2012-12-01",
        "2013-01-01",
        "2013-02-01",
        "2013-03-01",
    ]
    assert states(planned, "us_equities/forecaster")["2012-01-01"] is State.FRESH
    assert states(planned, "us_equities/backtest")["2012-01-01"] is State.STALE
    assert states(planned, "us_equities/backtest")["2011-01-01"] is State.FRESH


def test_a_recorded_session_is_never_stale(manifest: Manifest) -> None:
    manifest.settle()
    manifest.write(manifest.node("us_daily/validated_bars"), "2013-02-01", content="another")
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert states(planned, "us_equities/paper_session") == {"2013-03-01": State.FRESH}


def test_another_code_version_makes_a_partition_stale(manifest: Manifest) -> None:
    manifest.settle()
    records = manifest.stored["us_equities/forecaster"]
    records["2010-01-01"] = replace(records["2010-01-01"], code_version="older")
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert states(planned, "us_equities/forecaster")["2010-01-01"] is State.STALE
    # The fold's later assets run in the same run, since the forecaster's content will differ.
    assert planned.waves[0][0].assets[-1] == "us_equities/stress"


def test_sizes_of_the_launchpad_make_a_partition_stale(manifest: Manifest) -> None:
    manifest.settle()
    records = manifest.stored["us_equities/policy/ppo"]
    records["2010-01-01"] = replace(records["2010-01-01"], declaration_digest="fewer steps")
    state = next(
        s
        for s in plan(manifest.graphs, manifest.records, NOW).states
        if s.asset == "us_equities/policy/ppo" and s.partition == "2010-01-01"
    )
    assert state.state is State.STALE
    assert "launchpad" in state.reason


def test_a_refused_partition_is_said_and_not_run_again(manifest: Manifest) -> None:
    manifest.settle()
    records = manifest.stored["us_daily/validated_bars"]
    records["2003-01-01"] = replace(records["2003-01-01"], verdict="failed")
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert [s.partition for s in planned.refused] == ["2003-01-01"]
    assert planned.waves == ()


def test_a_refused_ablation_is_done_without(manifest: Manifest) -> None:
    manifest.settle()
    ablation, report = "us_equities/forecast_ablation/ppo", "us_equities/walk_forward_report"
    records = manifest.stored[ablation]
    records["2010-01-01"] = replace(records["2010-01-01"], verdict="failed", content_digest="bad")
    assert states(plan(manifest.graphs, manifest.records, NOW), report) == {"": State.STALE}
    # A report is written without it, and is then as complete as it can be.
    whole = manifest.stored[report][""]
    read = tuple(i for i in whole.inputs if (i.asset, i.partition) != (ablation, "2010-01-01"))
    manifest.stored[report][""] = replace(whole, inputs=read)
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert states(planned, report) == {"": State.FRESH}
    assert [(s.asset, s.partition) for s in planned.refused] == [(ablation, "2010-01-01")]
    assert planned.waves == ()
    # Once it is mended, the report is written anew.
    records["2010-01-01"] = replace(records["2010-01-01"], verdict="passed")
    assert states(plan(manifest.graphs, manifest.records, NOW), report) == {"": State.STALE}


def refuse(manifest: Manifest, asset: str, partition: str) -> None:
    records = manifest.stored[asset]
    records[partition] = replace(records[partition], verdict="failed", content_digest="bad")


def test_what_needs_a_refused_partition_is_blocked_and_the_report_goes_on_without(
    manifest: Manifest,
) -> None:
    manifest.settle()
    fold, policy = "2010-01-01", "us_equities/policy/ppo"
    for name in ("forecast_ablation/ppo", "backtest", "explanation", "stress"):
        del manifest.stored[f"us_equities/{name}"][fold]
    refuse(manifest, policy, fold)
    del manifest.stored["us_equities/walk_forward_report"][""]
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert {(s.asset, s.partition, s.reason) for s in planned.blocked} == {
        (f"us_equities/{name}", fold, f"it needs {policy} {fold}, which was refused")
        for name in ("forecast_ablation/ppo", "backtest", "explanation", "stress")
    }
    assert states(planned, "us_equities/references")[fold] is State.FRESH
    assert [step.assets for step in planned.steps] == [("us_equities/walk_forward_report",)]
    manifest.settle()
    assert plan(manifest.graphs, manifest.records, NOW).waves == ()


def test_what_was_refused_far_upstream_is_the_reason_that_all_its_readers_give(
    manifest: Manifest,
) -> None:
    manifest.settle()
    month = "2011-05-01"
    refuse(manifest, "us_daily/validated_bars", month)
    planned = plan(manifest.graphs, manifest.records, NOW)
    (reason,) = {state.reason for state in planned.blocked}
    assert reason == f"it needs us_daily/validated_bars {month}, which was refused"
    blocked = {(state.asset, state.partition) for state in planned.blocked}
    # Its own year is tested on it, the next trains on it.
    own = {key for asset, key in blocked if asset == "us_equities/backtest"}
    assert own == {"2011-01-01", "2012-01-01"}
    assert ("us_equities/cross_validation", "") in blocked
    assert ("us_equities/features", month) in blocked
    assert ("us_equities/features", "2011-04-01") not in blocked
    assert [step.assets for step in planned.steps] == [("us_equities/walk_forward_report",)]
    manifest.settle()


def test_a_due_partition_pulls_no_blocked_reader_into_its_run(manifest: Manifest) -> None:
    manifest.settle()
    fold = "2010-01-01"
    refuse(manifest, "us_equities/policy/ppo", fold)
    del manifest.stored["us_equities/references"][fold]
    step, report = plan(manifest.graphs, manifest.records, NOW).steps
    assert (step.assets, step.partitions) == (("us_equities/references",), (fold,))
    assert report.assets == ("us_equities/walk_forward_report",)


def test_a_report_of_refused_folds_alone_is_blocked(manifest: Manifest) -> None:
    manifest.settle()
    for fold in tuple(manifest.stored["us_equities/backtest"]):
        refuse(manifest, "us_equities/backtest", fold)
    planned = plan(manifest.graphs, manifest.records, NOW)
    assert states(planned, "us_equities/walk_forward_report") == {"": State.BLOCKED}
    assert planned.waves == ()


def test_a_report_leaves_a_fold_out_once_when_it_is_blocked_and_takes_it_in_once_it_is_mended(
    manifest: Manifest,
) -> None:
    manifest.settle()
    fold, report, policy = "2010-01-01", "us_equities/walk_forward_report", "us_equities/policy/ppo"
    good = manifest.stored[policy][fold]
    refuse(manifest, policy, fold)
    (stale,) = [
        own for own in plan(manifest.graphs, manifest.records, NOW).states if own.asset == report
    ]
    assert stale.state is State.STALE
    assert stale.reason == f"us_equities/backtest {fold} is blocked since"
    assert manifest.settle() == 1
    read = {(item.asset, item.partition) for item in manifest.stored[report][""].inputs}
    assert (policy, fold) in read
    assert not {("us_equities/backtest", fold), ("us_equities/forecaster", fold)} & read
    # Forecaster and explanation of the fold passed, and are of no use without its backtest.
    assert states(plan(manifest.graphs, manifest.records, NOW), report) == {"": State.FRESH}
    manifest.stored[policy][fold] = good
    assert states(plan(manifest.graphs, manifest.records, NOW), report) == {"": State.STALE}
    manifest.settle()
    read = {(item.asset, item.partition) for item in manifest.stored[report][""].inputs}
    assert {("us_equities/backtest", fold), ("us_equities/forecaster", fold)} <= read


def test_a_closed_fold_that_cannot_be_made_is_told_by_the_report(manifest: Manifest) -> None:
    manifest.settle()
    fold, report = "2012-01-01", "us_equities/walk_forward_report"
    # The report was made before the fold closed; then its forecaster was refused.
    before = manifest.stored[report][""]
    read = tuple(item for item in before.inputs if item.partition != fold)
    manifest.stored[report][""] = replace(before, inputs=read)
    refuse(manifest, "us_equities/forecaster", fold)
    for name in ("forecasts", "policy/ppo", "references", "backtest", "explanation", "stress"):
        del manifest.stored[f"us_equities/{name}"][fold]
    del manifest.stored["us_equities/forecast_ablation/ppo"][fold]
    (step,) = plan(manifest.graphs, manifest.records, NOW).steps
    assert step.assets == (report,)
    assert manifest.settle() == 1


def test_folds_of_an_earlier_declaration_are_no_news_for_the_report(manifest: Manifest) -> None:
    manifest.settle()
    records = manifest.stored["us_equities/backtest"]
    records["2009-07-01"] = records["2009-01-01"]
    assert plan(manifest.graphs, manifest.records, NOW).waves == ()


def test_a_new_fold_makes_the_report_stale(manifest: Manifest) -> None:
    manifest.settle()
    del manifest.stored["us_equities/backtest"]["2012-01-01"]
    target = Target(only=frozenset({"us_equities/walk_forward_report"}))
    node = manifest.node("us_equities/walk_forward_report")
    manifest.write(node, "")
    assert plan(manifest.graphs, manifest.records, NOW, target).waves == ()
    manifest.write(manifest.node("us_equities/backtest"), "2012-01-01")
    assert len(plan(manifest.graphs, manifest.records, NOW, target).waves) == 1


def test_a_target_narrows_months_folds_and_assets(manifest: Manifest) -> None:
    only = frozenset({"us_daily/raw_bars", "us_equities/backtest"})
    target = Target(date(2010, 5, 1), date(2011, 2, 1), only)
    planned = plan(manifest.graphs, manifest.records, NOW, target)
    assert list(states(planned, "us_equities/backtest")) == ["2010-01-01", "2011-01-01"]
    assert len(states(planned, "us_daily/raw_bars")) == 10
    assert {s.asset for s in planned.states} == only


def test_an_unknown_asset_names_those_that_exist(manifest: Manifest) -> None:
    with pytest.raises(UserError, match=r"expected one of .*us_equities/backtest"):
        plan(
            manifest.graphs, manifest.records, NOW, Target(only=frozenset({"us_equities/bakctest"}))
        )


def test_an_empty_date_range_says_what_there_is(manifest: Manifest) -> None:
    only = frozenset({"us_daily/raw_bars"})
    target = Target(date(2020, 1, 1), date(2020, 2, 1), only)
    with pytest.raises(UserError, match="us_daily has months 2000-03-01 to 2013-03-01"):
        plan(manifest.graphs, manifest.records, NOW, target)


def test_the_open_month_of_live_data_is_stale_once_another_session_has_closed() -> None:
    declarations = load_declarations([PACKAGED], "development")
    manifest = Manifest(full_graph(declarations, "known_optimum"))
    target = Target(only=frozenset({"w1_daily/raw_bars"}))
    node = manifest.node("w1_daily/raw_bars")
    closed = date(2026, 11, 19)
    for key in manifest.graphs[0].periods.keys(Axis.MONTH, NOW):
        manifest.write(node, key)
        record = manifest.stored[node.key][key]
        manifest.stored[node.key][key] = replace(record, known_until=closed)
    assert plan(manifest.graphs, manifest.records, NOW, target).waves == ()
    evening = datetime(2026, 11, 20, 22, tzinfo=UTC)
    step = plan(manifest.graphs, manifest.records, evening, target).waves[0][0]
    assert step.partitions == ("2026-11-01",)


def test_a_target_of_partitions_is_those_alone_and_not_what_reads_them(manifest: Manifest) -> None:
    meant = {
        ("us_daily/validated_bars", "2010-05-01"),
        ("us_equities/policy/ppo", "2010-01-01"),
        ("us_equities/stress", "2011-01-01"),
        ("us_equities/walk_forward_report", ""),
    }
    planned = plan(manifest.graphs, manifest.records, NOW, Target.of_partitions(meant))
    assert {(own.asset, own.partition) for own in planned.states} == meant
    ran = {
        (asset, key)
        for step in planned.steps
        for asset in step.assets
        for key in step.partitions or ("",)
    }
    assert ran == meant


VALIDATED = "known_optimum/cross_validation"


@pytest.fixture
def live() -> Manifest:
    declarations = load_declarations([PACKAGED], "development")
    return Manifest(full_graph(declarations, "known_optimum"))


def test_a_cross_validation_reads_the_months_of_closed_folds_and_is_made_before_the_report(
    live: Manifest,
) -> None:
    node = live.node(VALIDATED)
    read = upstream_keys(live.graphs, node, "", NOW)
    # Folds are tested in 2023 to 2025 and trained from 2020 on; 2026 has not closed. Features look
    # back a fold further, and bars two.
    features, bars = (read[key] for key in ("known_optimum/features", "w1_daily/validated_bars"))
    assert (features[0], features[-1]) == ("2019-01-01", "2025-12-01")
    assert (bars[0], bars[-1]) == ("2018-01-01", "2025-12-01")
    titles = [[step.title for step in wave] for wave in plan_all(live).waves]
    (made,) = (place for place, wave in enumerate(titles) if "cross-validate" in wave)
    (written,) = (
        place for place, wave in enumerate(titles) if "write the walk-forward report" in wave
    )
    assert made < written


def plan_all(manifest: Manifest) -> Plan:
    return plan(manifest.graphs, manifest.records, manifest.now)


def test_a_newer_month_of_no_closed_fold_leaves_a_cross_validation_fresh(live: Manifest) -> None:
    live.settle()
    assert states(plan_all(live), VALIDATED) == {"": State.FRESH}
    live.write(live.node("w1_daily/validated_bars"), "2026-11-01", "another day")
    live.write(live.node("known_optimum/features"), "2026-11-01", "another day")
    assert states(plan_all(live), VALIDATED) == {"": State.FRESH}
    live.write(live.node("known_optimum/features"), "2024-05-01", "other values")
    assert states(plan_all(live), VALIDATED) == {"": State.STALE}


def test_months_of_a_fold_that_are_stored_later_make_a_cross_validation_stale(
    live: Manifest,
) -> None:
    live.settle()
    features = live.stored["known_optimum/features"]
    gone = {key: features.pop(key) for key in list(features) if key >= "2025-07-01"}
    live.write(live.node(VALIDATED), "")
    assert states(plan_all(live), VALIDATED) == {"": State.FRESH}
    features["2025-07-01"] = gone["2025-07-01"]
    assert states(plan_all(live), VALIDATED) == {"": State.STALE}


def test_a_new_cross_validation_makes_the_report_stale(live: Manifest) -> None:
    live.settle()
    kept = live.stored.pop(VALIDATED)
    report = "known_optimum/walk_forward_report"
    live.write(live.node(report), "")
    assert states(plan_all(live), report) == {"": State.FRESH}
    live.stored[VALIDATED] = kept
    assert states(plan_all(live), report) == {"": State.STALE}
