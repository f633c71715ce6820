"""Small markets, decisions and session runs for the tests of this room."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.brokers import BrokerSetup, build_gateway
from trading_assets.paper.inputs import SessionInputs, decision_time
from trading_assets.paper.record import SessionRecord
from trading_assets.policy.decision import Decision
from trading_assets.schema import TABLES
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

CALENDAR = get_calendar("XNYS")
SYMBOLS = ("AAA", "BBB", "CCC")
NAME = "tested"


def make_strategy(**overrides: object) -> Strategy:
    values: dict[str, object] = {
        "market_data": "tested_data",
        "costs": {"fee_bps": 1.0, "half_spread_bps": 2.0, "impact_coefficient": 0.5},
        "policy": {"agents": {"ppo": {}}},
        "folds": {"first": "2020-01-01"},
        "risk": {"max_weight": 0.5, "max_order_notional_usd": 2_000_000},
        **overrides,
    }
    return Strategy.model_validate(values)


def make_market(n_sessions: int = 40, seed: int = 0, decimals: int | None = 2) -> Market:
    """Random prices with a split, dividends, a late listing and a halt."""
    rng = np.random.default_rng(seed)
    n = len(SYMBOLS)
    close = 100.0 * np.exp(np.cumsum(0.02 * rng.standard_normal((n_sessions, n)), axis=0))
    open_ = close * np.exp(0.005 * rng.standard_normal((n_sessions, n)))
    split, cash = np.ones((n_sessions, n)), np.zeros((n_sessions, n))
    if n_sessions > 12:
        split[12, 0] = 2.0
        close[12:, 0] /= 2.0
        open_[12:, 0] /= 2.0
        cash[9, 1] = 0.37
        close[:5, 2] = open_[:5, 2] = np.nan
        close[10, 1] = open_[10, 1] = np.nan
    if decimals is not None:
        close, open_ = np.round(close, decimals), np.round(open_, decimals)
    has_bar = np.isfinite(close)
    days = CALENDAR.sessions(date(2020, 1, 2), date(2022, 12, 30))[:n_sessions]
    return Market(
        sessions=np.array(days, dtype="datetime64[D]"),
        symbols=SYMBOLS,
        open=open_,
        close=close,
        volume=np.where(has_bar, 1e6, np.nan),
        tradable=has_bar & (np.cumsum(has_bar, axis=0) > 1),
        split_ratio=split,
        cash_per_share=cash,
        volatility=np.full((n_sessions, n), 0.02),
        adv_usd=np.full((n_sessions, n), 1e8),
    )


def session_at(market: Market, row: int) -> date:
    return market.sessions[row].astype(object)


def cut(market: Market, last_row: int) -> Market:
    """The market as known before the session after `last_row`."""
    rows = slice(0, last_row + 1)
    return Market(
        sessions=market.sessions[rows],
        symbols=market.symbols,
        open=market.open[rows],
        close=market.close[rows],
        volume=market.volume[rows],
        tradable=market.tradable[rows],
        split_ratio=market.split_ratio[rows],
        cash_per_share=market.cash_per_share[rows],
        volatility=market.volatility[rows],
        adv_usd=market.adv_usd[rows],
    )


def decide_with(
    weights: Callable[[date], np.ndarray], symbols: tuple[str, ...] = SYMBOLS
) -> Callable[[Mapping[str, float], date], Decision]:
    def decide(held: Mapping[str, float], session: date, before: object = None) -> Decision:
        wanted = weights(session)
        return Decision(
            session=session,
            symbols=symbols,
            tradable=np.ones(len(symbols), dtype=bool),
            raw_weights=wanted,
            weights=wanted,
            binding_limits=("",) * len(symbols),
            forecasts=TABLES["forecasts"].empty(),
            decided_by="rule",
        )

    return decide


def hold(*weights: float) -> Callable[[Mapping[str, float], date], Decision]:
    return decide_with(lambda _: np.array(weights))


class Clock:
    """Advances a second with each reading, and by what is slept."""

    def __init__(self, start: datetime = datetime(2020, 1, 2, 12, tzinfo=UTC)) -> None:
        self.moment = start

    def now(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class StoppedClock:
    """Always the same moment; waits take no time."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        pass


def make_inputs(
    folder: Path,
    market: Market,
    session: date,
    previous: SessionRecord | None = None,
    stored: SessionRecord | None = None,
    **changes: object,
) -> SessionInputs:
    strategy = changes.pop("strategy", make_strategy())
    assert isinstance(strategy, Strategy)
    clock = Clock()
    account = AccountFolder.on_disk(folder, clock)
    setup = BrokerSetup(strategy, CALENDAR, account, {}, clock)
    gateway = changes.pop("gateway", None) or build_gateway(setup, market)
    values: dict[str, object] = {
        "name": NAME,
        "strategy": strategy,
        "session": session,
        "calendar": CALENDAR,
        "market": market,
        "decision_time": decision_time(CALENDAR, session, 15, datetime(2030, 1, 1, tzinfo=UTC)),
        "decide": hold(0.3, 0.3, 0.2),
        "gateway": gateway,
        "previous": previous,
        "stored": stored,
        "folder": account,
        "clock": clock,
        **changes,
    }
    return SessionInputs(**values)  # type: ignore[arg-type]


def same_tables(one: SessionRecord, other: SessionRecord) -> bool:
    return all(frame.equals(other.tables[name]) for name, frame in one.tables.items())


def concatenated(records: list[SessionRecord], table: str) -> pl.DataFrame:
    return pl.concat([record.tables[table] for record in records])
