"""D2: an account goes on when a company it holds is renamed between two sessions.

The same sessions are traded twice, night by night: once MSFT becomes MSFX on a day, which is known
in the night after it; once nothing is renamed. Nothing but the ticker may differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from trading_assets.bars.actions.companies import actions_by_company, bars_by_company
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.sample import SampleBars
from trading_assets.governance.succession import choose_champion
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.renamed import RENAMED_UNTIL, Renaming
from trading_assets.paper.trading import SessionData, trade_session
from trading_assets.policy.bundle import Bundle
from trading_assets.schema import TABLES
from trading_assets.strategy import Strategy
from trading_assets_tests.governance.test_succession import challenger_files
from trading_assets_tests.paper.fixtures import StoppedClock
from trading_assets_tests.policy.tasks import make_policy

CALENDAR = get_calendar("XNYS")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UNIVERSE = ("IBM", "MSFT", "MSFX")
# The dividend of MSFT on 2012-11-13 is paid after the rename, and announced under the new ticker.
SESSIONS = CALENDAR.sessions(date(2012, 11, 5), date(2012, 11, 14))
RENAMED = date(2012, 11, 7)
START = date(2012, 6, 1)
MARKET_DATA = MarketDataSpec.model_validate(
    {"source": {"kind": "sample"}, "universe": UNIVERSE, "start": START, "end": "2012-12-31"}
)
STRATEGY = Strategy.model_validate(
    {
        "market_data": "stocks",
        "features": {"names": ["log_return_1", "log_return_5"], "scale_bars": 20},
        "policy": {
            "agents": {"ppo": {"seeds": 2}},
            "observed_features": ["log_return_1", "log_return_5"],
            "uses_forecasts": False,
            "fallback": "equal_weight",
        },
        "folds": {"first": "2012-01-01"},
    }
)


def rename(old: str, day: date, new: str) -> pl.DataFrame:
    row = (old, day, "rename", 1.0, 0.0, new, CALENDAR.open_time(day), "test")
    return pl.DataFrame([row], schema=TABLES["corporate_actions"].empty().schema, orient="row")


@dataclass(frozen=True)
class Vendor:
    """What a vendor tells in the night before a session, with or without the rename."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    is_renamed: bool

    def known_before(self, session: date) -> tuple[pl.DataFrame, pl.DataFrame]:
        is_past = pl.col("session") < session
        bars, actions = self.bars.filter(is_past), self.actions
        if self.is_renamed:
            bars = bars.with_columns(_of_the_day("session"))
            renamed = rename("MSFT", RENAMED, "MSFX")
            actions = pl.concat([actions.with_columns(_of_the_day("ex_date")), renamed])
        actions = actions.filter(pl.col("ex_date") < session)
        return bars_by_company(bars.sort("symbol", "event_time"), actions), actions


def _of_the_day(day: str) -> pl.Expr:
    is_new = (pl.col("symbol") == "MSFT") & (pl.col(day) >= RENAMED)
    return pl.when(is_new).then(pl.lit("MSFX")).otherwise("symbol").alias("symbol")


@pytest.fixture(scope="module")
def fetched() -> tuple[pl.DataFrame, pl.DataFrame]:
    spec = MARKET_DATA.model_copy(update={"universe": ("IBM", "MSFT")})
    found = SampleBars(spec, CALENDAR).fetch(START, date(2012, 12, 31), NOW)
    from trading_assets.bars.actions.derived import derive_actions

    return found.rows.select(TABLES["validated_bars"].names), derive_actions(found.rows)


@pytest.fixture(scope="module")
def champion() -> dict[str, bytes]:
    names = ("log_return_1", "log_return_5")
    members = [make_policy(STRATEGY, UNIVERSE, seed) for seed in (8, 9)]
    bundle = Bundle.from_parts(STRATEGY, names, None, {"ppo": members})
    passed = challenger_files(bundle, passes=True)
    return choose_champion({}, passed, SESSIONS[0], "cash", NOW).to_files()


def traded(
    vendor: Vendor, champion: dict[str, bytes], folder: Path, sessions: Sequence[date] = SESSIONS
) -> list[SessionRecord]:
    """Trade session by session on what is known before each; records travel through files."""
    records: dict[date, SessionRecord] = {}
    previous = None
    for session in sessions:
        bars, actions = vendor.known_before(session)
        data = SessionData(
            session=session,
            bars=bars,
            actions=actions_by_company(actions),
            series=TABLES["series"].empty(),
            champion=champion,
            previous=previous,
            stored=None,
            account=AccountFolder.on_disk(folder, StoppedClock(NOW)),
            credentials={},
            clock=StoppedClock(NOW),
        )
        record = trade_session("stocks", STRATEGY, MARKET_DATA, data)
        assert record.status == "awaiting_fill"
        if record.settled_previous is not None:
            records[record.settled_previous.session] = record.settled_previous
        previous = SessionRecord.from_files(record.tables, record.to_files())
    return list(records.values())


def as_if_never_renamed(record: SessionRecord, table: str) -> pl.DataFrame:
    rows = record.tables[table]
    if "symbol" not in rows.columns:
        return rows
    # The new ticker has no column of its own any more, and before there was nothing to hold of it.
    decided = rows.filter(pl.col("symbol") != "MSFX") if _is_before(record) else rows
    return decided.with_columns(pl.col("symbol").replace("MSFX", "MSFT"))


def _is_before(record: SessionRecord) -> bool:
    return RENAMED_UNTIL not in record.summary


@pytest.mark.parametrize("who", ["champion", "fallback"])
def test_an_account_goes_on_over_a_rename(
    who: str,
    champion: dict[str, bytes],
    fetched: tuple[pl.DataFrame, pl.DataFrame],
    tmp_path: Path,
) -> None:
    files = champion if who == "champion" else {}
    control = traded(Vendor(*fetched, is_renamed=False), files, tmp_path / "control")
    renamed = traded(Vendor(*fetched, is_renamed=True), files, tmp_path / "renamed")
    assert [record.session for record in renamed] == SESSIONS[:-1]
    held = [set(record.tables["positions"]["symbol"]) for record in renamed]
    # The session of the rename was decided before anybody knew, and is settled as it was decided.
    known_from = SESSIONS.index(RENAMED) + 1
    assert (held[known_from - 1], held[known_from]) == ({"IBM", "MSFT"}, {"IBM", "MSFX"})
    assert not any("MSFX" in symbols for symbols in held[:known_from])
    assert not any("MSFT" in symbols for symbols in held[known_from:])
    for own, other in zip(renamed, control, strict=True):
        assert own.differences == []
        assert own.tables["account"].equals(other.tables["account"])
        for table in ("positions", "decisions"):
            expected = other.tables[table].filter(pl.col("symbol") != "MSFX")
            assert as_if_never_renamed(own, table).sort("symbol").equals(expected.sort("symbol"))
    assert sum(record.tables["account"]["dividends_usd"][0] for record in renamed) > 0


def test_a_record_that_knew_the_rename_is_not_renamed_again(
    champion: dict[str, bytes], fetched: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    after = SESSIONS[SESSIONS.index(RENAMED) + 1 :]
    vendor = Vendor(*fetched, is_renamed=True)
    [first, *_] = traded(vendor, champion, tmp_path, after)
    assert first.summary[RENAMED_UNTIL] == RENAMED.isoformat()
    _, actions = vendor.known_before(after[-1])
    assert not Renaming.since(first, UNIVERSE, actions).current
    unaware = replace(first, summary={})
    assert Renaming.since(unaware, UNIVERSE, actions).current["MSFT"] == "MSFX"


def test_swapped_tickers_are_told_apart_by_what_a_record_knew(
    champion: dict[str, bytes], fetched: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    [record, *_] = traded(Vendor(*fetched, is_renamed=False), champion, tmp_path, SESSIONS[:2])
    swap = pl.concat([rename("IBM", RENAMED, "MSFT"), rename("MSFT", RENAMED, "IBM")])
    carried = Renaming.since(record, ("IBM", "MSFT"), swap).carry(record)
    held, before = carried.latest_state.quantity, record.latest_state.quantity
    assert (held["MSFT"], held["IBM"]) == (before["IBM"], before["MSFT"])
    knew = replace(record, summary={**record.summary, RENAMED_UNTIL: RENAMED.isoformat()})
    assert Renaming.since(knew, ("IBM", "MSFT"), swap).carry(knew) is knew
