"""Trials of one market count under whatever name its data set was declared."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.lake.store import Lake, Trial
from trading_assets.pipeline.declared import Declared, declared_strategy
from trading_assets.pipeline.ledger import ledger_table, restore_ledger
from trading_assets.pipeline.made_with import MADE_WITH
from trading_assets.pipeline.market_values import market_values
from trading_assets.pipeline.tried_markets import (
    counted_on_market,
    data_sets_of_market,
    is_same_market,
)

DECLARATIONS = load_declarations([PACKAGED], "development")
STOCKS, DRAWN = "us_daily", "w1_daily"


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(tmp_path, lambda: datetime.now(UTC))
    yield lake
    lake.close()


@pytest.fixture
def declared() -> Declared:
    return declared_strategy("us_equities", DECLARATIONS)


def market(name: str, **changed: Any) -> dict[str, Any]:
    return {**market_values(DECLARATIONS.market_data[name]), **changed}


def count(lake: Lake, data_set: str, tried_on: dict[str, Any] | None, agent: str = "ppo") -> None:
    config = {} if tried_on is None else {MADE_WITH: {"market_data": tried_on}}
    lake.register_trial(Trial(data_set, "mine", agent, "d" * 64, 1, config))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (STOCKS, {}),
        (STOCKS, {"start": "2001-01-02"}),
        (STOCKS, {"universe": ["IBM"]}),
        (STOCKS, {"source": {"kind": "files", "folder": "elsewhere"}}),
        (DRAWN, {}),
        (DRAWN, {"start": "2001-01-02"}),
    ],
)
def test_a_data_set_with_a_symbol_of_another_is_the_same_market(
    name: str, changed: dict[str, Any]
) -> None:
    assert is_same_market(market(name), market(name, **changed))
    assert is_same_market(market(name, **changed), market(name))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (STOCKS, {"universe": ["T"]}),
        (STOCKS, {"source": {"kind": "world", "seed": 7}}),
        (DRAWN, {"source": {"kind": "world", "seed": 12345}}),
        (DRAWN, {"source": {"kind": "files", "folder": "elsewhere"}}),
    ],
)
def test_other_stocks_and_markets_drawn_otherwise_are_other_markets(
    name: str, changed: dict[str, Any]
) -> None:
    assert not is_same_market(market(name), market(name, **changed))
    assert not is_same_market(market(name, **changed), market(name))


def test_a_trial_that_says_nothing_of_its_market_counts_by_name_alone(
    lake: Lake, declared: Declared
) -> None:
    count(lake, "copy", None)
    count(lake, STOCKS, None)
    assert data_sets_of_market(lake, declared) == [STOCKS]
    assert [own.trial.data_set for own in counted_on_market(lake, declared)] == [STOCKS]


def test_trials_under_every_name_of_the_market_count_oldest_first(
    lake: Lake, declared: Declared
) -> None:
    count(lake, "other", market(STOCKS, universe=["T"]))
    count(lake, "copy", market(STOCKS))
    count(lake, STOCKS, market(STOCKS))
    count(lake, "again", market(STOCKS, universe=["IBM", "T"]), agent="a2c")
    count(lake, "drawn", market(DRAWN, universe=["IBM"]))
    assert data_sets_of_market(lake, declared) == [STOCKS, "again", "copy"]
    counted = [(own.trial.data_set, own.trial.agent) for own in counted_on_market(lake, declared)]
    assert counted == [("copy", "ppo"), (STOCKS, "ppo"), ("again", "a2c")]


def test_one_symbol_once_in_the_universe_makes_all_trials_of_the_name_count(
    lake: Lake, declared: Declared
) -> None:
    """A data set whose symbols were edited away is still what chose among them."""
    count(lake, "copy", market(STOCKS), agent="a2c")
    count(lake, "copy", market(STOCKS, universe=["T"]))
    assert len(counted_on_market(lake, declared)) == 2


def test_a_stored_ledger_restored_elsewhere_counts_the_same(
    lake: Lake, declared: Declared, tmp_path: Path
) -> None:
    """A rebuilt report counts what the report counted, whatever names the data sets had."""
    count(lake, "copy", market(STOCKS), agent="a2c")
    count(lake, STOCKS, market(STOCKS))
    stored = ledger_table(counted_on_market(lake, declared))
    elsewhere = Lake(tmp_path / "elsewhere", lambda: datetime.now(UTC))
    restore_ledger(elsewhere, STOCKS, stored)
    assert ledger_table(counted_on_market(elsewhere, declared)).equals(stored)
    assert stored["agent"].to_list() == ["a2c", "ppo"]
    elsewhere.close()
