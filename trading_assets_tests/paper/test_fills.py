"""Cash and shares are exact: ties go to the even step, and a rename is applied once."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from trading_assets.paper.fills import Fill
from trading_assets.paper.orders import to_quantity
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.booked import BookedAccount


def cash_of(quantity: str, price: str, side: str = "sell") -> Decimal:
    at = datetime(2020, 1, 2, tzinfo=UTC)
    numbers = (Decimal(quantity), Decimal(price), Decimal(0))
    return Fill("x", "o", "AAA", side, *numbers, at).cash_usd  # type: ignore[arg-type]


def test_cash_is_exact_to_the_sixth_decimal() -> None:
    quantity, price = "98765432.123456789", "1234.567891"
    exact = Fraction(quantity) * Fraction(price)
    assert abs(Fraction(cash_of(quantity, price)) - exact) <= Fraction(1, 2_000_000)


@pytest.mark.parametrize(
    ("price", "cash"),
    [("0.000001", "0.000000"), ("0.000003", "0.000002"), ("0.000005", "0.000002")],
)
def test_a_tie_of_cash_goes_to_the_even_millionth(price: str, cash: str) -> None:
    assert cash_of("0.5", price) == Decimal(cash)


def test_a_tie_of_shares_goes_to_the_even_billionth() -> None:
    assert to_quantity(5e-10) == 0
    assert to_quantity(1.5e-9) == Decimal("2e-9")
    assert to_quantity(2.5e-9) == Decimal("2e-9")


def test_a_rename_that_is_said_again_changes_nothing() -> None:
    book = Book()
    book.open_account(Decimal(100))
    held = {"AAA": Decimal(1), "BBB": Decimal(2)}
    book.write_account(BookedAccount(date(2020, 1, 2), Decimal(100), held))
    for _ in range(2):
        book.rename_symbols({"AAA": "BBB", "BBB": "AAA"}, date(2020, 1, 3))
    assert book.account().quantity == {"AAA": Decimal(2), "BBB": Decimal(1)}
