"""What `trading-assets run` leaves behind: lake, instance, checks, report and paper session."""

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import polars as pl

from trading_assets.backtest.baselines import BASELINES
from trading_assets.bars.validation.expectations import EXPECTATIONS
from trading_assets.periods import add_months
from trading_assets_tests.end_to_end.conftest import FinishedProject
from trading_assets_tests.end_to_end.projects import FOLD, SESSION
from trading_assets_tests.faults.canaries import canaries_in

MONTHS = [add_months(date(2006, 1, 1), n).isoformat() for n in range(27)]
PARTITIONS = {
    "tiny_bars/raw_bars": MONTHS,
    "tiny_bars/corporate_actions": [""],
    "tiny_bars/validated_bars": MONTHS,
    "tiny/features": MONTHS,
    "tiny/forecaster": [FOLD],
    "tiny/forecasts": [FOLD],
    "tiny/policy/ppo": [FOLD],
    "tiny/references": [FOLD],
    "tiny/backtest": [FOLD],
    "tiny/explanation": [FOLD],
    "tiny/stress": [FOLD],
    "tiny/walk_forward_report": [""],
    "tiny/drift_report": [SESSION],
    "tiny/challenger": [SESSION],
    "tiny/champion": [SESSION],
    "tiny/paper_session": [SESSION],
    "tiny/shadow_session": [SESSION],
    "tiny/session_replay": [SESSION],
}


def _key(asset: str) -> dg.AssetKey:
    return dg.AssetKey(asset.split("/"))


def test_a_run_prints_the_table_the_report_and_how_to_open_the_ui(
    tiny_project: FinishedProject,
) -> None:
    first = tiny_project.first_run
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"portfolio.*Sharpe", first.stdout)
    for portfolio in (*BASELINES, "ppo/ensemble"):
        assert portfolio in first.stdout
    report = re.search(r"^report: (.+\.html)$", first.stdout, re.MULTILINE)
    assert report is not None
    page = Path(report.group(1)).read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "make dev" in first.stdout
    assert "http://127.0.0.1:3000" in first.stdout


def test_every_asset_has_its_partitions_in_the_manifest(tiny_project: FinishedProject) -> None:
    with tiny_project.project.lake() as lake:
        stored = {asset: lake.records(asset) for asset in lake.assets()}
    assert {asset: list(records) for asset, records in stored.items()} == PARTITIONS
    verdicts = {record.verdict for records in stored.values() for record in records.values()}
    assert verdicts == {"passed"}


def test_every_stored_partition_has_a_successful_run_of_the_instance(
    tiny_project: FinishedProject,
) -> None:
    with tiny_project.project.instance() as instance, tiny_project.project.lake() as lake:
        runs = {run.run_id: run for run in instance.get_runs()}
        assert {run.status for run in runs.values()} == {dg.DagsterRunStatus.SUCCESS}
        for asset, keys in PARTITIONS.items():
            if keys != [""]:
                assert instance.get_materialized_partitions(_key(asset)) == set(keys)
            for record in lake.records(asset).values():
                assert _key(asset) in (runs[record.run_id].asset_selection or ())


def test_runs_carry_their_partitions_as_tags(tiny_project: FinishedProject) -> None:
    with tiny_project.project.instance() as instance:
        tags = [run.tags for run in instance.get_runs()]
    ranges = [
        (t["dagster/asset_partition_range_start"], t["dagster/asset_partition_range_end"])
        for t in tags
        if "dagster/asset_partition_range_start" in t
    ]
    assert ranges == [(MONTHS[0], MONTHS[-1])] * 2
    assert sorted(t["dagster/partition"] for t in tags if "dagster/partition" in t) == [
        FOLD,
        SESSION,
    ]
    assert {t["strategy"] for t in tags} == {"tiny"}


def test_each_expectation_on_validated_bars_is_one_check_result(
    tiny_project: FinishedProject,
) -> None:
    bars = _key("tiny_bars/validated_bars")
    keys = [dg.AssetCheckKey(bars, expectation.name) for expectation in EXPECTATIONS]
    with tiny_project.project.instance() as instance:
        storage = instance.event_log_storage
        found = storage.get_latest_asset_check_execution_by_key(keys)
    assert len(found) == len(EXPECTATIONS) >= 8
    evaluations = {key.name: record.event for key, record in found.items()}
    for expectation in EXPECTATIONS:
        event = evaluations[expectation.name]
        assert event is not None
        data = event.get_dagster_event().asset_check_evaluation_data
        assert data.passed or not expectation.blocks


def test_a_partition_shows_its_own_row_count_and_digest(tiny_project: FinishedProject) -> None:
    with tiny_project.project.instance() as instance, tiny_project.project.lake() as lake:
        record = lake.record("tiny_bars/raw_bars", "2006-05-01")
        assert record is not None
        found = instance.fetch_materializations(
            dg.AssetRecordsFilter(_key("tiny_bars/raw_bars"), asset_partitions=["2006-05-01"]), 1
        )
    materialization = found.records[0].asset_materialization
    assert materialization is not None
    shown = {name: value.value for name, value in materialization.metadata.items()}
    assert shown["dagster/partition_row_count"] == record.rows == 2 * 22
    assert shown["content_digest"] == record.content_digest


def test_list_names_declarations_with_files_and_assets(tiny_project: FinishedProject) -> None:
    listed = tiny_project.project.trading_assets("list")
    assert listed.returncode == 0
    declared = tiny_project.project.folder / "defs" / "tiny" / "defs.yaml"
    assert f"tiny  ({declared})" in listed.stdout
    assert re.search(r"us_daily/raw_bars +bars +month", listed.stdout)
    assert re.search(r"tiny/paper_session +paper +session", listed.stdout)


def test_what_features_were_worth_is_stored_with_the_forecaster_and_in_the_report(
    tiny_project: FinishedProject,
) -> None:
    with tiny_project.project.lake() as lake:
        table = lake.read("tiny/forecaster", [FOLD], "feature_quality")
        correlations = lake.read("tiny/forecaster", [FOLD], "feature_correlations")
        page = lake.read_blobs("tiny/walk_forward_report")["report.html"].decode()
        record = lake.record("tiny/walk_forward_report")
    count = table.height
    assert count > 0
    assert correlations.height == count * (count + 1) // 2
    assert f"<details><summary>Fold {FOLD}: training days" in page
    assert all(f'<th scope="row">{name}</th>' in page for name in table["feature"])
    assert record is not None
    read = {"tiny/backtest", "tiny/explanation", "tiny/forecaster", "tiny/stress"}
    assert {ref.asset for ref in record.inputs} == read


def test_sql_queries_the_lake(tiny_project: FinishedProject) -> None:
    query = "select count(*) as bars from tiny_bars.raw_bars where symbol = 'IBM'"
    answer = tiny_project.project.trading_assets("sql", query)
    assert answer.returncode == 0
    assert "bars" in answer.stdout
    assert re.search(r"\b563\b", answer.stdout)


def test_the_tables_of_a_paper_session_agree_to_the_last_decimal(
    tiny_project: FinishedProject,
) -> None:
    asset = "tiny/paper_session"
    with tiny_project.project.lake() as lake:
        orders, fills, positions, account = (
            lake.read(asset, [SESSION], table)
            for table in ("orders", "fills", "positions", "account")
        )
    row = account.row(0, named=True)
    value: Decimal = sum(positions["market_value_usd"].to_list(), Decimal())
    assert row["cash_usd"] + value == row["equity_usd"]
    assert len(fills) >= 1
    spent = sum(
        (
            _signed(fill) * fill["price_usd"] + fill["cost_usd"]
            for fill in fills.iter_rows(named=True)
        ),
        Decimal(),
    )
    expected = Decimal(1_000_000) - spent + row["dividends_usd"]
    assert abs(row["cash_usd"] - expected) <= Decimal("0.000001") * len(fills)
    assert row["fees_usd"] == sum(fills["cost_usd"].to_list(), Decimal())
    held = {p["symbol"]: p["quantity"] for p in positions.iter_rows(named=True)}
    assert held == {fill["symbol"]: _signed(fill) for fill in fills.iter_rows(named=True)}
    by_order = fills.group_by("client_order_id").agg(pl.col("quantity").sum())
    assert dict(orders.select("client_order_id", "filled_quantity").iter_rows()) == dict(
        by_order.iter_rows()
    )


def test_the_run_that_settles_a_session_replays_it_to_the_cent(
    tiny_project: FinishedProject,
) -> None:
    asset = "tiny/session_replay"
    with tiny_project.project.lake() as lake:
        row = lake.read(asset, [SESSION]).row(0, named=True)
        symbols = lake.read(asset, [SESSION], "replay_symbols")
        account = lake.read("tiny/paper_session", [SESSION], "account")
    assert row["session"].isoformat() == SESSION
    assert row["recorded_equity_usd"] == account["equity_usd"][0]
    assert abs(row["recorded_equity_usd"] - row["replayed_equity_usd"]) < Decimal("0.01")
    assert abs(row["divergence_bps"]) < 1e-3
    assert len(symbols) >= 1
    assert not symbols["differs"].any()


def test_the_challenger_decides_in_shadow_and_its_orders_reach_no_broker(
    tiny_project: FinishedProject,
) -> None:
    with tiny_project.project.lake() as lake:
        decisions = lake.read("tiny/shadow_session", [SESSION])
        orders = lake.read("tiny/shadow_session", [SESSION], "shadow_orders")
        paper = lake.read("tiny/paper_session", [SESSION], "decisions")
        digest = json.loads(lake.read_blobs("tiny/challenger", SESSION)["summary.json"])["digest"]
    assert {*decisions["decided_by"]} == {digest}
    assert decisions["champion_weight"].to_list() == paper["weight"].to_list()
    log = (tiny_project.project.data / "paper" / "tiny" / f"{SESSION}.jsonl").read_text()
    assert not any(key in log for key in orders["client_order_id"])


def test_the_card_of_an_order_goes_back_to_the_stored_bars(tiny_project: FinishedProject) -> None:
    with tiny_project.project.lake() as lake:
        symbol = lake.read("tiny/paper_session", [SESSION], "orders")["symbol"][0]
        bars = lake.record("tiny_bars/validated_bars", MONTHS[-1])
    assert bars is not None
    shown = tiny_project.project.trading_assets("why", "tiny", SESSION, symbol)
    assert shown.returncode == 0, shown.stderr
    assert "as read by the decision" in " ".join(shown.stdout.split())
    for event in ("START", "DECISION", "INTENT", "DECIDED", "FILL"):
        assert event in shown.stdout


def _signed(fill: dict[str, Decimal | str]) -> Decimal:
    quantity = fill["quantity"]
    assert isinstance(quantity, Decimal)
    return quantity if fill["side"] == "buy" else -quantity


def test_keys_in_the_environment_are_found_nowhere(tiny_project: FinishedProject) -> None:
    first, folder = tiny_project.first_run, tiny_project.project.folder
    assert list(folder.rglob("mlflow*"))
    assert canaries_in(folder, {"stdout": first.stdout, "stderr": first.stderr}) == []
