"""When a ticker's bars are expected, where companies were renamed."""

from datetime import date
from typing import Any

import pytest

from trading_assets.bars.actions.renames import ticker_turns
from trading_assets.bars.calendars.listing_spans import expected_spans
from trading_assets_tests.bars.actions.test_renames import META_DAY, renames
from trading_assets_tests.bars.example_bars import make_spec

FUND, FB = date(2021, 6, 30), date(2021, 1, 4)
LAST_OF_FB = date(2022, 6, 8)
FIRST = {"FB": FB, "META": FUND, "A": FB, "B": FB}
META = [("FB", META_DAY, "META")]
LATER = date(2022, 9, 1)

Span = tuple[str, date, date | None]


def spans(universe: Any, of: list[tuple[str, date, str]]) -> list[Span]:
    spec = make_spec(universe=universe, start=FB, end=date(2022, 12, 30))
    found = expected_spans(spec, FIRST, ticker_turns(renames(*of)))
    return [(span.symbol, span.first, span.last) for span in found]


def member(symbol: str, first: date | None = None, last: date | None = None) -> dict[str, Any]:
    return {"symbol": symbol, "first_session": first, "last_session": last}


def test_an_old_ticker_is_expected_until_the_rename_and_the_new_one_from_it_on() -> None:
    assert spans(["FB", "META"], META) == [("FB", FB, LAST_OF_FB), ("META", META_DAY, None)]
    assert spans(["FB", "META"], []) == [("FB", FB, None), ("META", FUND, None)]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        # Stints without ends follow the rename.
        (
            [member("FB", FB), member("META", FUND)],
            [("FB", FB, LAST_OF_FB), ("META", META_DAY, None)],
        ),
        # Stints that end or begin with the rename say the same.
        (
            [member("FB", FB, LAST_OF_FB), member("META", META_DAY)],
            [("FB", FB, LAST_OF_FB), ("META", META_DAY, None)],
        ),
        # A stint within another holder's time is meant as it is declared.
        (
            [member("FB", LATER), member("META", FUND, date(2022, 1, 31))],
            [("FB", LATER, None), ("META", FUND, date(2022, 1, 31))],
        ),
    ],
)
def test_declared_stints_meet_renames(members: list[dict[str, Any]], expected: list[Span]) -> None:
    assert spans(members, META) == expected


def test_a_chain_a_swap_and_a_return_are_followed() -> None:
    chain = [("A", META_DAY, "B"), ("B", LATER, "C")]
    assert spans(["A", "B"], chain) == [("A", FB, LAST_OF_FB), ("B", META_DAY, date(2022, 8, 31))]
    swap = [("A", META_DAY, "B"), ("B", META_DAY, "A")]
    assert spans(["A", "B"], swap) == [
        ("A", FB, LAST_OF_FB),
        ("A", META_DAY, None),
        ("B", FB, LAST_OF_FB),
        ("B", META_DAY, None),
    ]
    there_and_back = [("A", META_DAY, "B"), ("B", LATER, "A")]
    assert spans(["A"], there_and_back) == [("A", FB, LAST_OF_FB), ("A", LATER, None)]
