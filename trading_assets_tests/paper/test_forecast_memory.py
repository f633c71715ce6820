"""What intervals of forecasts go on from, carried from night to night by a session's records."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trading_assets.bars.actions.companies import actions_by_company
from trading_assets.bars.actions.derived import derive_actions
from trading_assets.bars.sources.sample import SampleBars
from trading_assets.features.compute import compute_features
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.governance.succession import choose_champion
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.account_memory import MEMORY
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.trading import SessionData, trade_session
from trading_assets.policy.bundle import Bundle
from trading_assets.schema import TABLES
from trading_assets_tests.governance.test_succession import challenger_files
from trading_assets_tests.paper.fixtures import StoppedClock
from trading_assets_tests.paper.test_renamed import (
    CALENDAR,
    MARKET_DATA,
    NOW,
    RENAMED,
    SESSIONS,
    STRATEGY,
    UNIVERSE,
    Vendor,
    as_if_never_renamed,
)
from trading_assets_tests.policy.tasks import make_policy

NAMES = ("log_return_1", "log_return_5")
FIRST, VALIDATED = date(2011, 1, 3), date(2012, 8, 1)
FORECASTING = STRATEGY.model_copy(
    update={
        "policy": STRATEGY.policy.model_copy(update={"uses_forecasts": True}),
        "forecast": STRATEGY.forecast.model_copy(update={"horizon_bars": 3, "window_bars": 8}),
    }
)
Fetched = tuple[pl.DataFrame, pl.DataFrame]


@dataclass(frozen=True)
class Champion:
    """Files of a champion with a forecaster, and the tables that it was trained on and later."""

    files: dict[str, bytes]
    forecaster: Forecaster
    tables: ForecastTables

    def run(self, nights: int) -> ConformalState:
        """Return the state after the decisions of so many nights, made in one run."""
        days = CALENDAR.sessions(date(2012, 11, 1), SESSIONS[-1])
        before = days[days.index(SESSIONS[0]) - 1 :]
        return self.forecaster.forecast(self.tables, before[:nights]).state


@pytest.fixture(scope="module")
def fetched() -> Fetched:
    universe = ("IBM", "MSFT")
    spec = MARKET_DATA.model_copy(update={"universe": universe, "start": FIRST})
    found = SampleBars(spec, CALENDAR).fetch(FIRST, date(2012, 12, 31), NOW)
    return found.rows.select(TABLES["validated_bars"].names), derive_actions(found.rows)


@pytest.fixture(scope="module")
def champion(fetched: Fetched) -> Champion:
    bars, actions = fetched
    days = bars["session"].unique().sort().to_list()
    series = TABLES["series"].empty()
    features = compute_features(bars, actions, series, FORECASTING.features, days)
    tables = ForecastTables(features, bars, actions)
    train = [day for day in days[40:] if day < VALIDATED]
    validation = [day for day in days if VALIDATED <= day < date(2012, 11, 1)]
    forecaster = train_forecaster(
        tables, train, validation, FORECASTING.forecast, NAMES, candidates=["logistic"]
    )
    members = [make_policy(FORECASTING, UNIVERSE, seed) for seed in (8, 9)]
    bundle = Bundle.from_parts(FORECASTING, NAMES, forecaster, {"ppo": members})
    passed = challenger_files(bundle, passes=True)
    files = choose_champion({}, passed, SESSIONS[0], "cash", NOW).to_files()
    return Champion(files, forecaster, tables)


def trade(
    vendor: Vendor,
    champions: list[Mapping[str, bytes]],
    folder: Path,
) -> list[SessionRecord]:
    """Trade night by night, by each night's champion; records travel through files."""
    records: list[SessionRecord] = []
    previous = None
    for session, files in zip(SESSIONS, champions, strict=False):
        bars, actions = vendor.known_before(session)
        data = SessionData(
            session=session,
            bars=bars,
            actions=actions_by_company(actions),
            series=TABLES["series"].empty(),
            champion=files,
            previous=previous,
            stored=None,
            account=AccountFolder.on_disk(folder, StoppedClock(NOW)),
            credentials={},
            clock=StoppedClock(NOW),
        )
        record = trade_session("stocks", FORECASTING, MARKET_DATA, data)
        previous = SessionRecord.from_files(record.tables, record.to_files())
        records.append(previous)
    return records


def state_of(record: SessionRecord) -> Any:
    return record.summary[MEMORY]["forecast_state"]


def test_records_carry_the_state_of_one_run_over_all_nights(
    champion: Champion, fetched: Fetched, tmp_path: Path
) -> None:
    nights = [champion.files] * len(SESSIONS)
    records = trade(Vendor(*fetched, is_renamed=False), nights, tmp_path)
    for number, record in enumerate(records, start=1):
        assert state_of(record) == champion.run(number).model_dump(mode="json")
    scores = [state_of(record)["interval_scores"] for record in records]
    # Labels of three bars are known from the fourth night on, one of two symbols each.
    assert [len(each) - len(scores[0]) for each in scores] == [0, 0, 0, 2, 4, 6, 8, 10]


def test_forecasts_that_wait_are_renamed_with_their_company(
    champion: Champion, fetched: Fetched, tmp_path: Path
) -> None:
    nights = [champion.files] * len(SESSIONS)
    control = trade(Vendor(*fetched, is_renamed=False), nights, tmp_path / "control")
    renamed = trade(Vendor(*fetched, is_renamed=True), nights, tmp_path / "renamed")
    known_from = SESSIONS.index(RENAMED) + 1
    for number, (own, other) in enumerate(zip(renamed, control, strict=True)):
        expected = state_of(other)
        if number >= known_from:
            for issued in expected["issued"]:
                for waiting in issued["waiting"]:
                    waiting["symbol"] = waiting["symbol"].replace("MSFT", "MSFX")
        assert state_of(own) == expected
        decided = other.tables["decisions"].filter(pl.col("symbol") != "MSFX").sort("symbol")
        assert as_if_never_renamed(own, "decisions").sort("symbol").equals(decided)


def test_a_night_of_the_fallback_lets_intervals_start_anew(
    champion: Champion, fetched: Fetched, tmp_path: Path
) -> None:
    nights = [champion.files, champion.files, {}, champion.files]
    records = trade(Vendor(*fetched, is_renamed=False), nights, tmp_path)
    assert MEMORY not in records[2].summary
    assert len(state_of(records[1])["issued"]) == 2
    after = state_of(records[3])
    assert len(after["issued"]) == 1
    decided = date.fromisoformat(after["session"])
    alone = champion.forecaster.forecast(champion.tables, [decided]).state
    assert after == alone.model_dump(mode="json")
    assert after["session"] == champion.run(4).model_dump(mode="json")["session"]
