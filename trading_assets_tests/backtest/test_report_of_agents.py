"""A strategy of several agents is judged by what it deploys, then by its agents."""

from dataclasses import replace
from functools import cache

import polars as pl
import pytest

from trading_assets.backtest.engine import BacktestTables
from trading_assets.backtest.report_documents import WalkForwardReport
from trading_assets.backtest.track_record import FoldRecord
from trading_assets_tests.backtest.markets import strategy_of
from trading_assets_tests.backtest.test_report import KEYS, fold_record, inputs_of, judged

PARTS = ("weights", "trades", "equity", "holdings")
NAMES = ["ensemble", "a2c", "ppo"]


def renamed(record: FoldRecord, names: dict[str, str]) -> dict[str, pl.DataFrame]:
    """Tables of some portfolios under other names."""
    return {
        part: getattr(record.tables, part)
        .filter(pl.col("portfolio").is_in(list(names)))
        .with_columns(pl.col("portfolio").replace(names))
        for part in PARTS
    }


def together(key: str) -> FoldRecord:
    """A fold of a skilled agent, one without skill, and both together, which have a little."""
    record = fold_record(key, 0.55)
    members = ("ensemble", "seed-0", "seed-1")
    other = renamed(fold_record(key, 0.0), {f"ppo/{name}": f"a2c/{name}" for name in members})
    both = renamed(fold_record(key, 0.15), {"ppo/ensemble": "ensemble"})
    tables = [pl.concat([getattr(record.tables, part), other[part], both[part]]) for part in PARTS]
    return replace(record, tables=BacktestTables(*tables))


@cache
def report_of() -> WalkForwardReport:
    strategy = strategy_of(
        policy={"agents": {"ppo": {"seeds": 2}, "a2c": {"algorithm": "a2c", "seeds": 2}}},
        folds={"period": "quarter", "first": "2020-01-01", "train_months": 12},
        backtest={"bootstrap_samples": 200},
    )
    return judged(inputs_of([together(key) for key in KEYS], strategy=strategy))


def test_what_is_deployed_has_the_first_verdict():
    report = report_of()
    found = report.figures["verdicts"]
    assert sorted(found) == sorted(NAMES)
    assert [found[name]["portfolio"] for name in NAMES] == [
        "ensemble",
        "a2c/ensemble",
        "ppo/ensemble",
    ]
    assert report.verdict == " ".join(found[name]["sentence"] for name in NAMES)
    assert report.verdict.startswith("ensemble ")
    places = [report.html.index(f">{name} ") for name in NAMES]
    assert places == sorted(places)


def test_the_verdict_on_all_together_is_that_of_the_portfolio_ensemble():
    report = report_of()
    mine = report.figures["portfolios"]["ensemble"]
    assert report.headline["ensemble_sharpe_annual"] == pytest.approx(mine["sharpe_annual"])
    assert report.headline["ensemble_sharpe_annual"] != pytest.approx(
        report.headline["ppo_sharpe_annual"]
    )
    evidence = report.figures["evidence"]
    gates = {gate["name"]: gate for gate in evidence["gates"]["ensemble"]}
    assert len(gates) == 6
    assert gates["survives_deflation"]["figure"] == mine["deflated_sharpe"]
    benchmark = report.figures["verdicts"]["ensemble"]["benchmark"]
    compared = report.figures["sharpe_annual_differences"]["ensemble"][benchmark]
    assert gates["beats_every_naive_baseline"]["figure"] == compared["p_value"]
    said = report.figures["verdicts"]["ensemble"]["sentence"]
    assert f"annual Sharpe {compared['sharpe_annual']:.2f} against" in said


def test_seeds_of_all_together_are_those_of_every_agent():
    seeds = report_of().figures["evidence"]["seeds"]
    assert [seeds[name]["seeds"] for name in NAMES] == [4, 2, 2]
    assert seeds["ensemble"]["scores"] == [*seeds["a2c"]["scores"], *seeds["ppo"]["scores"]]
    assert "4 seeds," in report_of().figures["verdicts"]["ensemble"]["sentence"]
