"""A challenger becomes champion, hands the title on and trades: from files to orders."""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from trading_assets.bars.actions.corporate_actions import derive_actions
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.sample import SampleBars
from trading_assets.governance.champion import champion_problems
from trading_assets.governance.promotion import GateResult
from trading_assets.governance.succession import bundle_of, choose_champion, record_of
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.trading import SessionData, trade_session
from trading_assets.policy.bundle import Bundle
from trading_assets.schema import TABLES
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import StoppedClock
from trading_assets_tests.policy.tasks import make_policy

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SESSION = date(2012, 11, 5)
SYMBOLS = ("IBM", "MSFT")


@pytest.fixture(scope="module")
def market_data() -> MarketDataSpec:
    return MarketDataSpec.model_validate(
        {
            "source": {"kind": "sample"},
            "universe": SYMBOLS,
            "start": "2010-06-01",
            "end": "2012-12-31",
        }
    )


@pytest.fixture(scope="module")
def strategy() -> Strategy:
    return Strategy.model_validate(
        {
            "market_data": "two_stocks",
            "features": {"names": ["log_return_1", "log_return_5"]},
            "policy": {
                "agents": {"ppo": {"seeds": 2}},
                "observed_features": ["log_return_1", "log_return_5"],
                "uses_forecasts": False,
            },
            "folds": {"first": "2012-01-01"},
        }
    )


@pytest.fixture(scope="module")
def bundle(strategy: Strategy) -> Bundle:
    names = ("log_return_1", "log_return_5")
    members = [make_policy(strategy, SYMBOLS, seed) for seed in range(2)]
    return Bundle.from_parts(strategy, names, None, {"ppo": members})


def challenger_files(bundle: Bundle, *, passes: bool) -> dict[str, bytes]:
    gate = GateResult("beats_champion", passes, 0.01 if passes else 0.4, 0.1, "p-value")
    summary = {"digest": bundle.digest, "gates": [asdict(gate)]}
    files = {f"bundle/{name}": data for name, data in bundle.to_files().items()}
    return {"summary.json": json.dumps(summary).encode(), **files}


def test_without_a_passed_challenger_the_fallback_trades(bundle: Bundle) -> None:
    chosen = choose_champion(
        {}, challenger_files(bundle, passes=False), SESSION, "equal_weight", NOW
    )
    assert (chosen.record.status, chosen.record.champion) == ("fallback", "equal_weight")
    assert not chosen.bundle_files
    assert champion_problems(chosen.record, chosen.bundle_files) == []


def test_a_passed_challenger_is_promoted_with_its_files(bundle: Bundle) -> None:
    chosen = choose_champion(
        {}, challenger_files(bundle, passes=True), SESSION, "equal_weight", NOW
    )
    assert (chosen.record.status, chosen.record.champion) == ("promoted", bundle.digest)
    assert champion_problems(chosen.record, chosen.bundle_files) == []
    assert Bundle.from_files(chosen.bundle_files, bundle.digest).digest == bundle.digest


def test_a_kept_champion_hands_its_files_on(bundle: Bundle, strategy: Strategy) -> None:
    first = choose_champion({}, challenger_files(bundle, passes=True), SESSION, "cash", NOW)
    other = Bundle.from_parts(
        strategy,
        ("log_return_1", "log_return_5"),
        None,
        {"ppo": [make_policy(strategy, SYMBOLS, 7)]},
    )
    stored = first.to_files()
    refused = challenger_files(other, passes=False)
    kept = choose_champion(stored, refused, date(2012, 11, 6), "cash", NOW)
    assert (kept.record.status, kept.record.champion) == ("kept", bundle.digest)
    assert dict(kept.bundle_files) == bundle_of(stored)
    record = record_of(kept.to_files())
    assert record is not None
    assert record.challenger == other.digest


def test_a_damaged_champion_is_a_problem(bundle: Bundle) -> None:
    chosen = choose_champion({}, challenger_files(bundle, passes=True), SESSION, "cash", NOW)
    damaged = dict(chosen.bundle_files)
    name = next(name for name in damaged if name.endswith("safetensors"))
    damaged[name] = damaged[name][:-1] + bytes([damaged[name][-1] ^ 1])
    assert champion_problems(chosen.record, damaged)


def session_data(
    market_data: MarketDataSpec, champion: dict[str, bytes], folder: Path, **changes: object
) -> SessionData:
    fetched = SampleBars(market_data, get_calendar("XNYS")).fetch(
        date(2010, 6, 1), date(2012, 12, 31), NOW
    )
    values = {
        "session": SESSION,
        "bars": fetched.rows.select(TABLES["validated_bars"].names),
        "actions": derive_actions(fetched.rows),
        "series": TABLES["series"].empty(),
        "champion": champion,
        "previous": None,
        "stored": None,
        "account": AccountFolder.on_disk(folder, StoppedClock(NOW)),
        "credentials": {},
        "clock": StoppedClock(NOW),
    }
    return SessionData(**{**values, **changes})


def test_the_promoted_champion_trades_the_session(
    bundle: Bundle, strategy: Strategy, market_data: MarketDataSpec, tmp_path: Path
) -> None:
    chosen = choose_champion({}, challenger_files(bundle, passes=True), SESSION, "cash", NOW)
    data = session_data(market_data, chosen.to_files(), tmp_path)
    record = trade_session("two_stocks", strategy, market_data, data)
    assert record.status == "settled"
    assert set(record.tables["decisions"]["decided_by"]) == {bundle.digest}
    account = record.tables["account"].row(0, named=True)
    positions = record.tables["positions"]["market_value_usd"].sum()
    assert abs(account["cash_usd"] + positions - account["equity_usd"]) <= 2e-6


def test_a_session_uses_nothing_that_was_not_known_before_its_open(
    bundle: Bundle, strategy: Strategy, market_data: MarketDataSpec, tmp_path: Path
) -> None:
    chosen = choose_champion({}, challenger_files(bundle, passes=True), SESSION, "cash", NOW)
    data = session_data(market_data, chosen.to_files(), tmp_path / "one")
    scrambled = data.bars.with_columns(
        pl.when(pl.col("session") >= SESSION)
        .then(pl.col(name) * 1.7)
        .otherwise(pl.col(name))
        .alias(name)
        for name in ("open", "high", "low", "close")
    )
    other = session_data(market_data, chosen.to_files(), tmp_path / "two", bars=scrambled)
    decided = [
        trade_session("two_stocks", strategy, market_data, d).tables["decisions"]
        for d in (data, other)
    ]
    assert decided[0].equals(decided[1])
