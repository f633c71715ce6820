"""D2: a company that is renamed stays one company, from files of a vendor to a portfolio.

FB became META on 2022-06-09; until January 2022 an exchange-traded fund was called META. The
control is the same company under one ticker, as a vendor that maps tickers would deliver it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from trading_assets.bars.actions.companies import actions_by_company
from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.lake.store import Lake
from trading_assets.pipeline.component import market_data_definitions, strategy_definitions
from trading_assets.pipeline.resources import LakeResource, resources
from trading_assets.pipeline.settings import read_settings
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets_tests.pipeline.conftest import use_folder
from trading_assets_tests.pipeline.live_world import failures_of

NOW = datetime(2022, 9, 15, 12, tzinfo=UTC)
RENAMED, LISTED, LIQUIDATED = date(2022, 6, 9), date(2021, 6, 30), date(2022, 1, 31)
SESSIONS = get_calendar("XNYS").sessions(date(2021, 1, 4), date(2022, 8, 31))
SPLIT, SPIN_OFF, DIVIDEND = date(2021, 9, 1), date(2021, 11, 1), date(2022, 3, 1)

MARKET_DATA = """
type: trading_assets.pipeline.component.MarketData
attributes:
  source:
    kind: files
    folder: dump
    feed: vendor
    ACTIONS
  series: [{kind: files, file: scores.csv, series: score}]
  universe: UNIVERSE
  start: 2021-01-04
  end: 2022-08-31
"""
STRATEGY = """
type: trading_assets.pipeline.component.TradingPipeline
attributes:
  market_data: DATA
  features:
    names: [log_return_1, log_return_5, ewma_volatility, volume_z_63, series_score]
    scale_bars: 20
  policy: {agents: {ppo: {}}, observed_features: [log_return_1], uses_forecasts: false}
  folds: {period: quarter, first: 2022-04-01, train_months: 6, validation_months: 1}
"""
ACTIONS = f"""Ticker,ExDate,Type,Ratio,Amount,NewTicker
FB,{SPLIT},forward split,2,,
FB,{SPIN_OFF},spin_off,,5.5,
FB,{DIVIDEND},dividend,,0.7,
AAA,{DIVIDEND},forward split,0.1,,
FB,{RENAMED},rename,,,META
"""
MAP = (
    "actions: {file: actions.csv, columns: {symbol: Ticker, ex_date: ExDate, kind: Type,"
    " split_ratio: Ratio, cash_usd: Amount, new_symbol: NewTicker}, kinds: {forward split: split}}"
)


def prices(symbol: str, seed: int, steps: Mapping[date, float]) -> pl.DataFrame:
    """Return plausible bars whose price is multiplied on some days, as actions do."""
    rng = np.random.default_rng(seed)
    level = np.cumprod([steps.get(day, 1.0) for day in SESSIONS])
    close = 200 * np.exp(np.cumsum(rng.normal(0, 0.01, len(SESSIONS)))) * level
    opening = close * np.exp(rng.normal(0, 0.003, len(SESSIONS)))
    return pl.DataFrame(
        {
            "symbol": symbol,
            "time": SESSIONS,
            "open": opening,
            "high": np.maximum(opening, close) * 1.002,
            "low": np.minimum(opening, close) * 0.998,
            "close": close,
            "volume": np.round(rng.lognormal(13, 0.3, len(SESSIONS)) / level),
        }
    )


COMPANY = prices("META", 1, {SPLIT: 0.5, SPIN_OFF: 0.97})
OTHER = prices("AAA", 2, {DIVIDEND: 10.0})
FUND = prices("META", 3, {}).filter(pl.col("time").is_between(LISTED, LIQUIDATED))
FUND = FUND.with_columns(pl.col("open", "high", "low", "close") / 12)
SCORES = pl.concat(
    pl.DataFrame(
        {
            "symbol": symbol,
            "reference_time": SESSIONS[::5],
            "knowledge_time": SESSIONS[::5],
            "value": np.random.default_rng(4).normal(size=len(SESSIONS[::5])),
        }
    )
    for symbol in ("AAA", "META")
)


def ticker_of_the_day(rows: pl.DataFrame, day: str) -> pl.DataFrame:
    is_old = (pl.col("symbol") == "META") & (pl.col(day) < RENAMED)
    return rows.with_columns(pl.when(is_old).then(pl.lit("FB")).otherwise("symbol").alias("symbol"))


@dataclass
class DataSet:
    """One declared data set with a strategy over it, in a folder of its own."""

    root: Path
    name: str

    @classmethod
    def write(
        cls,
        root: Path,
        name: str,
        universe: Sequence[str],
        tables: Sequence[pl.DataFrame],
        actions: str,
    ) -> "DataSet":
        bars, scores = tables
        folder = root / "defs" / name
        (folder / "dump").mkdir(parents=True)
        bars.write_csv(folder / "dump" / "bars.csv")
        scores.write_csv(folder / "scores.csv")
        (folder / "actions.csv").write_text(actions)
        text = MARKET_DATA.replace("UNIVERSE", f"[{', '.join(universe)}]").replace("ACTIONS", MAP)
        (folder / "defs.yaml").write_text(text)
        strategy = root / "defs" / f"{name}_traded"
        strategy.mkdir()
        (strategy / "defs.yaml").write_text(STRATEGY.replace("DATA", name))
        return cls(root, name)

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "data", lambda: NOW)

    def read(self, asset: str, table: str = "rows") -> pl.DataFrame:
        owner = f"{self.name}_traded" if asset == "features" else self.name
        return self.lake.read(f"{owner}/{asset}", sorted(self.months(asset)), table)

    def months(self, asset: str) -> list[str]:
        owner = f"{self.name}_traded" if asset == "features" else self.name
        return sorted(self.lake.records(f"{owner}/{asset}"))

    def run(self, *assets: str, first: str = "", last: str = "") -> dg.ExecuteInProcessResult:
        with pytest.MonkeyPatch.context() as patch:
            use_folder(patch, self.root)
            parts = [
                market_data_definitions(self.name),
                strategy_definitions(f"{self.name}_traded"),
            ]
            lake = LakeResource(root=str(self.root / "data"), fixed_now=NOW.isoformat())
            given = dg.Definitions(
                resources={**resources(), "lake": lake}, executor=dg.in_process_executor
            )
            repository = dg.Definitions.merge(*parts, given).get_repository_def()
        keys = [dg.AssetKey(asset.split("/")) for asset in assets]
        job = repository.get_implicit_job_def_for_assets(keys)
        assert job is not None
        tags = {
            f"dagster/asset_partition_range_{end}": key
            for end, key in (("start", first), ("end", last))
            if key
        }
        with dg.instance_for_test() as instance:
            return job.execute_in_process(
                instance=instance, asset_selection=keys, tags=tags, raise_on_error=False
            )

    def run_all(self) -> list[str]:
        bars = [f"{self.name}/{n}" for n in ("raw_bars", "corporate_actions", "validated_bars")]
        failures = failures_of(self.run(*bars, first="2021-01-01", last="2022-08-01"))
        features = f"{self.name}_traded/features"
        return failures + failures_of(self.run(features, first="2022-05-01", last="2022-08-01"))


@pytest.fixture(scope="module")
def data_sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataSet, DataSet]:
    root = tmp_path_factory.mktemp("renames")
    bars = ticker_of_the_day(COMPANY, "time")
    scores = ticker_of_the_day(SCORES, "knowledge_time")
    renamed = DataSet.write(
        root, "renamed", ["AAA", "FB", "META"], (pl.concat([bars, FUND, OTHER]), scores), ACTIONS
    )
    lines = ACTIONS.replace("FB,", "META,").splitlines()
    mapped = DataSet.write(
        root,
        "mapped",
        ["AAA", "META"],
        (pl.concat([COMPANY, OTHER]), SCORES),
        "\n".join(line for line in lines if "rename" not in line),
    )
    assert renamed.run_all() == []
    assert mapped.run_all() == []
    return renamed, mapped


Both = tuple[DataSet, DataSet]


def test_validated_bars_have_one_continuous_company(data_sets: Both) -> None:
    renamed, mapped = (data.read("validated_bars") for data in data_sets)
    spans = renamed.group_by("symbol").agg(
        pl.len(), pl.col("session").min(), last=pl.max("session")
    )
    assert sorted(spans.rows()) == [
        ("AAA", len(SESSIONS), SESSIONS[0], SESSIONS[-1]),
        ("META", len(SESSIONS), SESSIONS[0], SESSIONS[-1]),
        ("META-202206", len(FUND), LISTED, LIQUIDATED),
    ]
    company = renamed.filter(pl.col("symbol") != "META-202206")
    assert company.sort("symbol", "event_time").equals(mapped.sort("symbol", "event_time"))


def test_raw_bars_and_actions_keep_the_ticker_of_the_day(data_sets: Both) -> None:
    renamed, _ = data_sets
    raw = renamed.read("raw_bars").filter(symbol="FB")
    assert raw["session"].max() == max(day for day in SESSIONS if day < RENAMED)
    actions = renamed.read("corporate_actions")
    assert actions.filter(kind="rename").select("symbol", "new_symbol").row(0) == ("FB", "META")
    assert "META" not in actions["symbol"]


def test_no_month_is_judged_worse_for_a_rename(data_sets: Both) -> None:
    renamed, _ = data_sets
    records = renamed.lake.records("renamed/validated_bars")
    assert {record.verdict for record in records.values()} == {"passed"}
    assert renamed.read("validated_bars", "quarantine").is_empty()


def test_total_returns_are_those_of_one_company(data_sets: Both) -> None:
    found = []
    for data in data_sets:
        actions = actions_by_company(data.read("corporate_actions"))
        returns = total_returns(data.read("validated_bars"), actions)
        found.append(returns.filter(symbol="META"))
    assert found[0].equals(found[1])
    assert found[0]["total_return"].abs().max() < 0.06  # pyright: ignore[reportOperatorIssue]
    assert found[0]["total_return"].null_count() == 1


def test_features_neither_jump_nor_warm_up_again(data_sets: Both) -> None:
    renamed, mapped = (data.read("features") for data in data_sets)
    own = renamed.filter(pl.col("symbol") != "META-202206")
    assert own.equals(mapped)
    is_near = pl.col("session").is_between(date(2022, 6, 1), RENAMED)
    around = own.filter(is_near, symbol="META")
    assert len(around) == 7
    assert not around.null_count().sum_horizontal().item()


def test_a_portfolio_has_the_company_once(data_sets: Both) -> None:
    markets = []
    for data in data_sets:
        tables = TrainingTables(
            data.read("validated_bars"),
            actions_by_company(data.read("corporate_actions")),
            pl.DataFrame(),
            pl.DataFrame(),
        )
        with pytest.MonkeyPatch.context() as patch:
            use_folder(patch, data.root)
            spec = read_settings().declarations().market_data[data.name]
        markets.append(market_of(tables, spec))
    renamed, mapped = markets
    assert renamed.symbols == mapped.symbols == ("AAA", "META")
    for name in ("open", "close", "volume", "tradable", "split_ratio", "cash_per_share"):
        np.testing.assert_array_equal(getattr(renamed, name), getattr(mapped, name))


def test_bars_stored_before_the_rename_was_known_are_refused_and_mended(tmp_path: Path) -> None:
    bars = pl.concat([ticker_of_the_day(COMPANY, "time"), OTHER])
    without = "\n".join(line for line in ACTIONS.splitlines() if "rename" not in line)
    scores = ticker_of_the_day(SCORES, "knowledge_time")
    data = DataSet.write(tmp_path, "late", ["AAA", "FB", "META"], (bars, scores), without)
    declaration = tmp_path / "defs" / "late" / "defs.yaml"
    text = declaration.read_text().replace("start: 2021-01-04", "start: 2022-04-01")
    declaration.write_text(text)
    until_may = {"first": "2022-04-01", "last": "2022-05-01"}
    raw, actions, clean = (
        f"late/{name}" for name in ("raw_bars", "corporate_actions", "validated_bars")
    )
    assert failures_of(data.run(raw, actions, clean, **until_may)) == []
    (tmp_path / "defs" / "late" / "actions.csv").write_text(ACTIONS)
    june = {"first": "2022-06-01", "last": "2022-06-01"}
    assert failures_of(data.run(raw, actions, clean, **june)) == []
    [failure] = failures_of(data.run("late_traded/features", **june))
    assert "validated_bars hold FB on 2022-05-31, though it was renamed to META" in failure
    assert failures_of(data.run(clean, **until_may)) == []
    assert failures_of(data.run("late_traded/features", **june)) == []
    assert set(data.read("validated_bars")["symbol"]) == {"AAA", "META"}


def test_a_vendor_that_mapped_the_tickers_already_is_refused(tmp_path: Path) -> None:
    bars = pl.concat([COMPANY, OTHER])
    data = DataSet.write(tmp_path, "twice", ["AAA", "FB", "META"], (bars, SCORES), ACTIONS)
    assets = [f"twice/{name}" for name in ("raw_bars", "corporate_actions")]
    data.run(*assets, first="2022-04-01", last="2022-08-01")
    record = data.lake.records("twice/corporate_actions")[""]
    assert record.verdict == "failed"
    assert "the source has mapped the tickers already" in record.reasons[0]
