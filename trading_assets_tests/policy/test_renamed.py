"""D2: a policy that was trained before a rename trades the same company after it."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.fold import backtest_fold
from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables
from trading_assets.policy.renamed import current_symbols, decide_for
from trading_assets.schema import TABLES
from trading_assets.simulation.core import Books
from trading_assets_tests.backtest.markets import FOLD
from trading_assets_tests.policy.tasks import make_policy, make_strategy
from trading_assets_tests.simulation.markets import make_bars

FIRST, SECOND = date(2022, 6, 9), date(2023, 7, 24)
UNIVERSE = ("AAA", "FB", "META", "TWTR", "X")
FB, TWTR = ("FB", FIRST, "META"), ("TWTR", SECOND, "X")


def renames(*of: tuple[str, date, str]) -> pl.DataFrame:
    known = datetime(2022, 1, 3, tzinfo=UTC)
    return pl.DataFrame(
        [(old, day, "rename", 1.0, 0.0, new, known, "test") for old, day, new in of],
        schema=TABLES["corporate_actions"].empty().schema,
        orient="row",
    )


@pytest.mark.parametrize(
    ("trained", "now"),
    [
        # Before either rename, between the two, and after both.
        (UNIVERSE, ("AAA", "META", "META-202206", "X", "X-202307")),
        (("AAA", "META", "TWTR", "X"), ("AAA", "META", "X", "X-202307")),
        (("AAA", "META", "X"), ("AAA", "META", "X")),
        # Of another universe: nothing says what it knew.
        (("AAA", "FB"), ("AAA", "FB")),
    ],
)
def test_symbols_of_a_policy_are_called_what_they_are_now(
    trained: tuple[str, ...], now: tuple[str, ...]
) -> None:
    assert current_symbols(trained, UNIVERSE, renames(FB, TWTR)) == now
    assert current_symbols(trained, UNIVERSE, renames()) == trained


def test_swapped_tickers_are_told_apart_by_their_order() -> None:
    swap = renames(("A", FIRST, "B"), ("B", FIRST, "A"))
    assert current_symbols(("A", "B"), ("A", "B"), swap) == ("B", "A")
    assert current_symbols(("B", "A"), ("A", "B"), swap) == ("B", "A")


def books(*quantity: float) -> Books:
    values = np.array([quantity])
    return Books(np.array([100.0]), values, values + 1.0, values / 10.0)


def test_decisions_are_made_on_books_over_a_policys_own_symbols() -> None:
    seen: list[Books] = []

    def own(row: int, known: Books) -> np.ndarray:
        seen.append(known)
        return np.array([0.1, 0.2, 0.0])

    decide = decide_for(("CCC", "META", "AAA"), ("AAA", "META", "META-202206"), own)
    np.testing.assert_array_equal(decide(4, books(0.0, 5.0, 7.0)), [0.0, 0.2, 0.1])
    np.testing.assert_array_equal(seen[0].quantity, [[7.0, 5.0, 0.0]])
    np.testing.assert_array_equal(seen[0].price, [[8.0, 6.0, 0.0]])
    assert seen[0].cash.tolist() == [100.0]
    assert decide_for(("A", "B"), ("A", "B"), own) is own


def test_a_policy_trained_before_a_rename_is_not_backtested_on_other_symbols() -> None:
    strategy = make_strategy()
    universe = {"source": {"kind": "sample"}, "universe": ["A", "FB", "META"], "start": FIRST}
    bars = make_bars({"A": [1.0, 2.0, 3.0], "META": [5.0, 6.0, 7.0]})
    tables = TrainingTables(bars, renames(FB), pl.DataFrame(), pl.DataFrame())
    policies = {"ppo": [make_policy(strategy, ("A", "FB", "META"))]}
    spec = MarketDataSpec.model_validate(universe)
    with pytest.raises(DataError, match="trained on A, FB, META, and the market has A, META now"):
        backtest_fold(tables, policies, FOLD, strategy, spec)
