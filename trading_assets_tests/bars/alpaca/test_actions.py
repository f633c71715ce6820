import json
import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from trading_assets.bars.actions.corporate_actions import check_actions
from trading_assets.errors import DataError
from trading_assets_tests.bars.alpaca.alpaca_source import END, START, alpaca_bars, daily_bars
from trading_assets_tests.bars.alpaca.market_data_server import Fault, Json, MarketDataServer, Store
from trading_assets_tests.bars.example_bars import CALENDAR, NOW

ACTIONS = "/v1/corporate-actions"
OPEN = datetime(2023, 3, 8, 14, 30, tzinfo=UTC)


def action(number: int, **fields: Any) -> Json:
    """Return an entry as Alpaca writes it: an id, a day of processing and an ex date."""
    usual = {"process_date": "2023-03-08", "ex_date": "2023-03-08", "cusip": "459200101"}
    return {"id": str(UUID(int=number)), **usual, **fields}


def dividend(number: int, rate: Any, **fields: Any) -> Json:
    usual = {"symbol": "IBM", "rate": rate, "special": False, "foreign": False}
    return action(number, **(usual | fields))


def fetched(actions: dict[str, list[Json]], bars: Mapping[str, list[Json]] | None = None) -> Any:
    store = Store({"1Day": dict(bars or {})}, actions)
    with MarketDataServer(store) as server:
        table = alpaca_bars(server.url).fetch(START, END, NOW).actions
    return table


def effects(table: pl.DataFrame) -> list[Any]:
    columns = ("symbol", "ex_date", "kind", "split_ratio", "cash_usd", "new_symbol")
    return table.select(columns).rows()


def test_splits_stock_dividends_and_dividends_become_actions() -> None:
    table = fetched(
        {
            "forward_splits": [action(1, symbol="AAPL", new_rate=4, old_rate=1)],
            "reverse_splits": [
                action(2, symbol="IBM", new_rate=1, old_rate=50, old_cusip="a", new_cusip="b")
            ],
            "stock_dividends": [action(3, symbol="IBM", rate=0.05, ex_date="2023-03-09")],
            "cash_dividends": [dividend(4, 1.65), dividend(5, 0.35, special=True)],
        }
    )
    day = date(2023, 3, 8)
    assert effects(table) == [
        ("AAPL", day, "split", 4.0, 0.0, None),
        # An ordinary and a special dividend of one day are one entitlement.
        ("IBM", day, "dividend", 1.0, 2.0, None),
        ("IBM", day, "split", 0.02, 0.0, None),
        ("IBM", date(2023, 3, 9), "split", 1.05, 0.0, None),
    ]
    assert table["knowledge_time"].to_list()[:3] == [OPEN] * 3
    assert check_actions(table) == []


def test_more_actions_than_a_page_holds_are_all_read_and_each_counts_once() -> None:
    days = CALENDAR.sessions(date(2000, 1, 3), date(2009, 12, 31))[:2345]
    dividends = [
        dividend(n, 0.01, ex_date=f"{day}", process_date=f"{day}") for n, day in enumerate(days)
    ]
    store = Store(actions={"cash_dividends": [*dividends, dividends[7]]})
    with MarketDataServer(store) as server:
        source = alpaca_bars(server.url, start=date(2000, 1, 3), universe=("IBM",))
        table = source.fetch(date(2000, 1, 3), date(2009, 12, 31), NOW).actions
    assert len(server.paths(ACTIONS)) == 3
    assert table["ex_date"].to_list() == days
    assert table["cash_usd"].unique().to_list() == [0.01]


def test_a_dividend_is_found_by_its_ex_date_though_it_is_paid_months_later() -> None:
    later = dividend(1, 0.5, process_date="2023-09-15")
    outside = dividend(2, 0.7, ex_date="2023-02-28")
    assert effects(fetched({"cash_dividends": [later, outside]})) == [
        ("IBM", date(2023, 3, 8), "dividend", 1.0, 0.5, None)
    ]


def test_an_action_is_left_out_until_the_open_of_its_ex_date() -> None:
    store = Store(actions={"cash_dividends": [dividend(1, 0.5)]})
    with MarketDataServer(store) as server:
        source = alpaca_bars(server.url)
        before = source.fetch(START, END, OPEN.replace(minute=29)).actions
        after = source.fetch(START, END, OPEN).actions
    assert before.is_empty()
    assert effects(after) == [("IBM", date(2023, 3, 8), "dividend", 1.0, 0.5, None)]


def test_an_ex_date_without_a_session_is_known_at_the_next_open() -> None:
    table = fetched({"cash_dividends": [dividend(1, 0.5, ex_date="2023-03-11")]})
    assert table["ex_date"].to_list() == [date(2023, 3, 11)]
    assert table["knowledge_time"].to_list() == [datetime(2023, 3, 13, 13, 30, tzinfo=UTC)]


def spin_off(number: int, new_symbol: str) -> Json:
    rates = {"source_rate": 2, "new_rate": 1, "source_cusip": "a", "new_cusip": "b"}
    return action(number, source_symbol="IBM", new_symbol=new_symbol, **rates)


def test_a_spin_off_is_worth_the_new_shares_close_of_its_ex_date() -> None:
    bars = {"KD": daily_bars(date(2023, 3, 8), END, 26.0)}
    table = fetched({"spin_offs": [spin_off(1, "KD")]}, bars)
    assert effects(table) == [("IBM", date(2023, 3, 8), "spin_off", 1.0, 13.0, None)]
    # The close is known after it, not at the open.
    assert table["knowledge_time"].to_list() == [datetime(2023, 3, 8, 21, 15, tzinfo=UTC)]
    assert "0.5 KD a share at its close of 2023-03-08" in table["origin"][0]
    assert check_actions(table) == []


@pytest.mark.parametrize("unknown", [frozenset[str](), frozenset({"KD"})])
def test_a_spin_off_whose_share_has_no_bar_has_no_worth_and_says_so(
    unknown: frozenset[str], caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(actions={"spin_offs": [spin_off(1, "KD")]}, unknown_symbols=unknown)
    with MarketDataServer(store) as server:
        table = alpaca_bars(server.url).fetch(START, END, NOW).actions
    assert effects(table) == [("IBM", date(2023, 3, 8), "spin_off", 1.0, 0.0, None)]
    assert "worth unknown" in table["origin"][0]
    assert "0.5 KD a share of IBM has no bar: worth unknown" in caplog.text
    assert "spin-off without worth" in check_actions(table)[0]


def test_a_spin_offs_price_that_fails_to_arrive_is_an_error_and_no_zero() -> None:
    store = Store(actions={"spin_offs": [spin_off(1, "KD")]})
    faults = [None, None, *[Fault(503)] * 4]
    with (
        MarketDataServer(store, faults) as server,
        pytest.raises(DataError, match=r"bars of KD .* gave status 503"),
    ):
        alpaca_bars(server.url).fetch(START, END, NOW)


def test_a_name_change_and_a_reverse_split_with_a_new_ticker_are_renames() -> None:
    table = fetched(
        {
            "name_changes": [
                action(1, old_symbol="AAPL", new_symbol="APPL", old_cusip="a", new_cusip="b"),
                action(2, old_symbol="IBM", new_symbol="IBM", old_cusip="a", new_cusip="b"),
                # Somebody else's, but its new ticker is ours: who held that before is another.
                action(3, old_symbol="OLD", new_symbol="IBM", old_cusip="a", new_cusip="b"),
            ],
            "reverse_splits": [
                action(
                    4, symbol="IBM", new_rate=1, old_rate=8, new_symbol="IBMX", ex_date="2023-03-09"
                )
            ],
        }
    )
    assert effects(table) == [
        ("AAPL", date(2023, 3, 8), "rename", 1.0, 0.0, "APPL"),
        ("IBM", date(2023, 3, 9), "rename", 1.0, 0.0, "IBMX"),
        ("IBM", date(2023, 3, 9), "split", 0.125, 0.0, None),
        ("OLD", date(2023, 3, 8), "rename", 1.0, 0.0, "IBM"),
    ]
    assert table["knowledge_time"][0] == OPEN
    assert check_actions(table) == []


def merger(number: int, acquirer: str, **fields: Any) -> Json:
    rates = {"acquirer_rate": 1, "acquiree_rate": 1, "effective_date": "2023-03-08", **fields}
    return action(number, acquiree_symbol="IBM", acquirer_symbol=acquirer, **rates)


def test_a_merger_one_for_one_into_a_new_ticker_is_a_rename() -> None:
    bars = {"NEW": daily_bars(date(2023, 3, 8), END, 26.0)}
    table = fetched({"stock_mergers": [merger(1, "NEW")]}, bars)
    assert effects(table) == [("IBM", date(2023, 3, 8), "rename", 1.0, 0.0, "NEW")]


@pytest.mark.parametrize(
    ("kind", "entry", "sentence"),
    [
        ("stock_mergers", merger(1, "BIG"), "is into BIG, which traded before"),
        ("stock_mergers", merger(1, "NEW", acquirer_rate=0.9), "no exchange of one share for one"),
        ("stock_and_cash_mergers", merger(1, "NEW", cash_rate=7.8), "no exchange of one share"),
        ("cash_mergers", merger(1, "NEW", rate=5.37), "merger of IBM on 2023-03-08 is no exchange"),
        ("cash_dividends", dividend(1, 0.5, currency="CAD"), "in another currency than USD"),
        ("cash_dividends", dividend(1, 0), "dividend of IBM on 2023-03-08 pays nothing"),
        (
            "name_changes",
            action(1, old_symbol="IBM", new_symbol="../x", old_cusip="a", new_cusip="b"),
            "is to a ticker that is not allowed",
        ),
        ("worthless_removals", action(1, symbol="IBM"), "kind worthless_removals have no place"),
        ("moon_landings", action(1, symbol="IBM"), "kind moon_landings have no place here"),
    ],
)
def test_what_has_no_place_in_the_table_is_left_out_with_a_warning(
    kind: str, entry: Json, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    bars = {"BIG": daily_bars(START, END, 30.0)}
    with caplog.at_level(logging.WARNING):
        table = fetched({kind: [entry], "stock_dividends": []}, bars)
    assert table.is_empty()
    assert sentence in caplog.text


def test_what_lies_outside_the_range_raises_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    entry = merger(1, "BIG", acquirer_rate=0.9, effective_date="2023-05-08")
    assert fetched({"stock_mergers": [entry]}).is_empty()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        ("cash_dividends", dividend(1, "0.5")),
        ("cash_dividends", dividend(1, -0.5)),
        ("cash_dividends", dividend(1, float("nan"))),
        ("cash_dividends", dividend(1, True)),
        ("cash_dividends", dividend(1, 0.5, ex_date="soon")),
        ("cash_dividends", dividend(1, 0.5, ex_date=None)),
        ("cash_dividends", dividend(1, 0.5, symbol=None)),
        ("forward_splits", action(1, symbol="IBM", new_rate=2, old_rate=0)),
        ("forward_splits", action(1, symbol="IBM", new_rate=2)),
        ("name_changes", action(1, old_symbol="IBM", new_symbol=7)),
        ("spin_offs", action(1, source_symbol="IBM", new_symbol="KD", new_rate=1)),
        ("stock_mergers", "text"),
        ("stock_dividends", {"symbol": "IBM", "rate": 0.1, "ex_date": "2023-03-08"}),
    ],
)
def test_an_action_that_is_none_is_a_data_error(kind: str, entry: Any) -> None:
    answer = json.dumps({"corporate_actions": {kind: [entry]}, "next_page_token": None})
    with (
        MarketDataServer(faults=[None, Fault(200, answer)]) as server,
        pytest.raises(DataError, match=f"no readable corporate action .{kind}"),
    ):
        alpaca_bars(server.url).fetch(START, END, NOW)
