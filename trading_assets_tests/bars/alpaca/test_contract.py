"""What the test's server answers, against the vendor's specification and against our own list."""

import json
import os
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from trading_assets_tests.bars.alpaca.alpaca_source import END, START, alpaca_bars, daily_bars
from trading_assets_tests.bars.alpaca.market_data_server import Json, MarketDataServer, Store
from trading_assets_tests.bars.example_bars import NOW

SPECIFICATION = "TRADING_ASSETS_ALPACA_SPEC"
NUMBER = (int, float)

# The fields that the source reads, and their types.
BAR = {"t": str, "o": NUMBER, "h": NUMBER, "l": NUMBER, "c": NUMBER, "v": int}
ACTIONS: dict[str, dict[str, Any]] = {
    "forward_splits": {"symbol": str, "ex_date": date, "new_rate": NUMBER, "old_rate": NUMBER},
    "reverse_splits": {"symbol": str, "ex_date": date, "new_rate": NUMBER, "old_rate": NUMBER},
    "stock_dividends": {"symbol": str, "ex_date": date, "rate": NUMBER},
    "cash_dividends": {"symbol": str, "ex_date": date, "rate": NUMBER},
    "spin_offs": {
        "source_symbol": str,
        "new_symbol": str,
        "ex_date": date,
        "source_rate": NUMBER,
        "new_rate": NUMBER,
    },
    "name_changes": {"old_symbol": str, "new_symbol": str, "process_date": date},
    "stock_mergers": {
        "acquiree_symbol": str,
        "acquirer_symbol": str,
        "effective_date": date,
        "acquiree_rate": NUMBER,
        "acquirer_rate": NUMBER,
    },
    "cash_mergers": {"acquiree_symbol": str, "effective_date": date, "rate": NUMBER},
    "stock_and_cash_mergers": {
        "acquiree_symbol": str,
        "acquirer_symbol": str,
        "effective_date": date,
        "acquiree_rate": NUMBER,
        "acquirer_rate": NUMBER,
        "cash_rate": NUMBER,
    },
}


def test_the_answers_hold_the_fields_and_types_that_the_source_relies_on() -> None:
    answers = _answers()
    bars = [json.loads(body) for path, _, body in answers if path == "/v2/stocks/bars"]
    # Of the universe, of the share spun off and of the merger's acquirer, which has no bars.
    ends = [page["next_page_token"] is None for page in bars]
    assert ends == [False, False, True, True, True]
    for page in bars:
        assert _problems(page, {"bars": dict}) == []
        for bar in (bar for symbol_bars in page["bars"].values() for bar in symbol_bars):
            assert _problems(bar, BAR) == []
            assert datetime.fromisoformat(bar["t"]).tzinfo is not None
    seen: set[str] = set()
    for page in (json.loads(body) for path, _, body in answers if path == "/v1/corporate-actions"):
        for kind, entries in page["corporate_actions"].items():
            seen.add(kind)
            for entry in entries:
                assert _problems(entry, {"id": str, **ACTIONS[kind]}) == []
    assert seen == set(ACTIONS)


def test_the_answers_follow_the_vendors_specification() -> None:
    for path, status, body in _answers():
        assert _validated(path, status, body) == []


def test_the_vendors_specification_promises_the_fields_that_the_source_relies_on() -> None:
    schemas = json.loads(_specification().read_text(encoding="utf-8"))["components"]["schemas"]
    assert set(BAR) <= set(schemas["stock_bar"]["required"])
    for kind, fields in ACTIONS.items():
        assert {"id", *fields} <= set(schemas[kind.removesuffix("s")]["required"])
    known = set(schemas["corporate_actions"]["properties"])
    assert set(ACTIONS) <= known


@pytest.mark.parametrize(
    "body",
    [
        {"bars": {"IBM": [{"t": "2023-03-01T05:00:00Z", "o": "1"}]}, "next_page_token": None},
        {"bars": {"IBM": [{"o": 1.0}]}, "next_page_token": None},
        {"bars": {"IBM": []}},
    ],
)
def test_the_specification_refuses_what_it_should(body: Json) -> None:
    assert _validated("/v2/stocks/bars", 200, json.dumps(body)) != []


@lru_cache(maxsize=1)
def _answers() -> list[tuple[str, int, str]]:
    """Return every answer that the server gave while the source read a store of all kinds."""
    bars = {symbol: daily_bars(START, END, 100.0) for symbol in ("AAPL", "IBM")}
    spun_off = {"KD": daily_bars(date(2023, 3, 8), END, 26.0)}
    actions = {kind: [_entry(n, kind)] for n, kind in enumerate(ACTIONS)}
    store = Store({"1Day": bars | spun_off}, actions)
    with MarketDataServer(store, largest_page=20) as server:
        fetched = alpaca_bars(server.url).fetch(START, END, NOW)
    assert set(fetched.actions["kind"]) == {"split", "dividend", "spin_off", "rename"}
    return server.answers


def _entry(number: int, kind: str) -> Json:
    """Return an entry of `kind` with all fields that the specification requires."""
    names = ("symbol", "old_symbol", "source_symbol", "acquiree_symbol")
    other = {"new_symbol": "KD", "acquirer_symbol": "BIG"}
    entry: Json = {"id": str(UUID(int=number)), "process_date": "2023-03-08"}
    for name, kind_of in ACTIONS[kind].items():
        if kind_of is NUMBER:
            entry[name] = number + 2.5
        elif kind_of is date:
            entry[name] = "2023-03-08"
        else:
            entry[name] = "IBM" if name in names else other[name]
    cusips = ("cusip", "old_cusip", "new_cusip", "source_cusip", "acquiree_cusip", "acquirer_cusip")
    return entry | dict.fromkeys(cusips, "459200101") | {"special": False, "foreign": False}


def _problems(entry: Json, fields: dict[str, Any]) -> list[str]:
    return [
        f"{name} was {entry.get(name)!r}"
        for name, kind in fields.items()
        if not isinstance(entry.get(name), str if kind is date else kind)
        or (kind is date and date.fromisoformat(entry[name]).isoformat() != entry[name])
    ]


def _specification() -> Path:
    place = os.environ.get(SPECIFICATION)
    if not place or not Path(place).is_file():
        pytest.skip(f"{SPECIFICATION} names no file with the vendor's market-data specification")
    return Path(place)


def _validated(path: str, status: int, body: str) -> list[str]:
    """Return what the schema of the vendor's answer to `path` finds wrong with `body`."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    document = json.loads(_specification().read_text(encoding="utf-8"))
    content = document["paths"][path]["get"]["responses"][str(status)]["content"]
    schema = content["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(_nullable({**schema, **_components(document)}))
    return [error.message for error in validator.iter_errors(json.loads(body))]


def _components(document: Json) -> Json:
    return {"components": document["components"]}


def _nullable(schema: Any) -> Any:
    """Return OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _nullable(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    return plain
