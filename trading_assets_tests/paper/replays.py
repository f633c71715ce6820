"""Paper sessions of the small markets, traded again, and records with something planted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl

from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.replay import trade_again
from trading_assets.paper.replay_opening import last_targets
from trading_assets.paper.replayed import SessionReplay
from trading_assets.paper.session import run_session
from trading_assets.schema import TABLES
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import SYMBOLS, decide_with, make_inputs, session_at

MARKET_DATA = MarketDataSpec.model_validate(
    {"source": {"kind": "sample"}, "universe": list(SYMBOLS), "start": "2020-01-02"}
)
NO_ACTIONS = TABLES["corporate_actions"].empty()


def run_rows(
    folder: Path,
    market: Market,
    strategy: Strategy,
    weights: Mapping[date, np.ndarray],
    rows: Sequence[int],
) -> list[SessionRecord]:
    """Run the sessions of some rows; nobody was there in those between."""
    records: list[SessionRecord] = []
    for row in rows:
        previous = None
        if records:
            previous = SessionRecord.from_files(records[-1].tables, records[-1].to_files())
        inputs = make_inputs(
            folder,
            market,
            session_at(market, row),
            previous,
            strategy=strategy,
            decide=decide_with(lambda day: weights[day]),
        )
        records.append(run_session(inputs))
    return records


def replay_all(
    records: Sequence[SessionRecord], market: Market, strategy: Strategy
) -> list[SessionReplay]:
    """Trade sessions again, each with the one before it at hand."""
    replays: list[SessionReplay] = []
    previous = None
    for record in records:
        targets = None
        if strategy.costs.quadratic_lambda:
            targets = last_targets(record, previous, market, MARKET_DATA, NO_ACTIONS)
        replays.append(trade_again(record, market, strategy, targets))
        previous = record
    return replays


def plant(record: SessionRecord, table: str, **values: Decimal | str | float) -> SessionRecord:
    """Return a record with other values in the first row of one of its tables."""
    rows = record.tables[table]
    first = rows.head(1).with_columns(
        pl.lit(value, dtype=rows.schema[name]).alias(name) for name, value in values.items()
    )
    changed = pl.concat([first, rows.tail(-1)])
    return replace(record, tables={**record.tables, table: changed})


def with_account(record: SessionRecord, change_usd: Decimal, worth_usd: Decimal) -> SessionRecord:
    """Return a record whose cash is other by `change_usd` and its positions by `worth_usd`."""
    row = record.tables["account"].row(0, named=True)
    return plant(
        record,
        "account",
        cash_usd=row["cash_usd"] + change_usd,
        equity_usd=row["equity_usd"] + change_usd + worth_usd,
    )
