"""D2: bars, actions and portfolios by company, and what cannot be told apart."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from trading_assets.bars.actions.companies import (
    actions_by_company,
    bars_by_company,
    newest_tickers,
    rename_problems,
    require_by_company,
    series_by_company,
    symbols_since,
    undeclared_tickers,
)
from trading_assets.errors import DataError
from trading_assets.schema import TABLES, UTC_TIME
from trading_assets_tests.bars.actions.test_renames import (
    META_DAY,
    bars,
    before,
    labels,
    renames,
    since,
)

FB = renames(("FB", META_DAY, "META"))


def timed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(event_time=pl.col("session").cast(UTC_TIME))


TRADED = timed(
    pl.concat(
        [bars("AAA", before(META_DAY)), bars("FB", before(META_DAY)), bars("META", since(META_DAY))]
    )
)


def action(symbol: str, day: date, cash: float, kind: str = "dividend") -> pl.DataFrame:
    plain = pl.lit(None, dtype=pl.String)
    return renames((symbol, day, "X")).with_columns(
        kind=pl.lit(kind), cash_usd=pl.lit(cash), new_symbol=plain
    )


def test_bars_of_a_company_stand_together_and_in_order() -> None:
    found = bars_by_company(TRADED, FB)
    assert found.equals(found.sort("symbol", "event_time"))
    assert set(found["symbol"]) == {"AAA", "META"}
    assert bars_by_company(TRADED, FB.clear()) is TRADED


def test_actions_without_a_rename_are_returned_as_they_are() -> None:
    dividend = action("FB", META_DAY, 1.0)
    assert actions_by_company(dividend) is dividend


def test_renames_stay_what_they_are_among_actions_by_company() -> None:
    found = actions_by_company(pl.concat([FB, action("FB", date(2022, 5, 4), 1.0)]))
    assert found.select("symbol", "kind", "new_symbol").rows() == [
        ("FB", "rename", "META"),
        ("META", "dividend", None),
    ]


def test_an_action_on_the_day_of_the_rename_is_the_renamed_companys_under_either_ticker() -> None:
    for ticker in ("FB", "META"):
        found = actions_by_company(pl.concat([FB, action(ticker, META_DAY, 1.0)]))
        assert found.filter(kind="dividend")["symbol"].to_list() == ["META"]


def test_an_action_under_both_tickers_is_a_problem() -> None:
    twice = pl.concat([FB, action("FB", META_DAY, 1.0), action("META", META_DAY, 1.0)])
    [sentence] = rename_problems(TRADED, twice)
    assert sentence.startswith(
        "dividend of META on 2022-06-09 is listed under FB and under META, which are one company"
    )
    assert rename_problems(TRADED, pl.concat([FB, action("META", META_DAY, 1.0)])) == []


def test_tickers_that_a_source_mapped_already_are_a_problem() -> None:
    mapped = timed(bars("META", before(META_DAY)))
    [sentence] = rename_problems(mapped, FB)
    assert "the source has mapped the tickers already" in sentence
    assert rename_problems(mapped, FB.clear()) == []


@pytest.mark.parametrize(
    ("universe", "of", "portfolio"),
    [
        (("AAA", "FB", "META"), [("FB", META_DAY, "META")], ("AAA", "META")),
        (("FB",), [("FB", META_DAY, "META")], ("META",)),
        (("META",), [("FB", META_DAY, "META")], ("META",)),
        (("A", "B"), [("A", META_DAY, "B"), ("B", META_DAY, "A")], ("B", "A")),
        (
            ("A", "B", "C"),
            [("A", META_DAY, "B"), ("B", date(2022, 9, 1), "C")],
            ("C",),
        ),
        # Another company takes the old ticker, by a rename of its own.
        (
            ("FB", "META", "X"),
            [("FB", META_DAY, "META"), ("X", date(2022, 9, 1), "FB")],
            ("META", "FB"),
        ),
        (("AAA", "FB"), [("OLD", META_DAY, "NEW")], ("AAA", "FB")),
        (("AAA", "FB"), [], ("AAA", "FB")),
    ],
)
def test_a_portfolio_has_each_company_once(
    universe: tuple[str, ...], of: list[tuple[str, date, str]], portfolio: tuple[str, ...]
) -> None:
    assert newest_tickers(universe, renames(*of)) == portfolio


def test_what_had_a_ticker_before_all_renames_has_a_name_after_them() -> None:
    later = renames(("FB", META_DAY, "META"), ("META", date(2022, 9, 1), "MVRS"))
    assert symbols_since(("AAA", "FB", "META"), later) == {
        "AAA": "AAA",
        "FB": "MVRS",
        "META": "META-202206",
    }


def test_a_new_ticker_that_nobody_asked_for_is_named() -> None:
    [sentence] = undeclared_tickers(("AAA", "FB"), FB)
    assert sentence.startswith("FB was renamed to META on 2022-06-09, and META is not in the")
    assert undeclared_tickers(("AAA", "FB", "META"), FB) == []
    assert undeclared_tickers(("AAA",), FB) == []


def test_bars_that_were_stored_before_a_rename_was_known_are_refused() -> None:
    with pytest.raises(DataError, match=r"hold FB on 2022-06-08, though it was renamed to META"):
        require_by_company(TRADED, FB)
    require_by_company(bars_by_company(TRADED, FB), FB)
    # Who takes the old ticker afterwards is no old row.
    taken = timed(bars("FB", since(date(2022, 9, 1))))
    require_by_company(pl.concat([bars_by_company(TRADED, FB), taken]), FB)


def test_a_series_follows_the_ticker_it_was_published_under() -> None:
    evening, correction = datetime(2022, 6, 9, 1, tzinfo=UTC), datetime(2022, 8, 1, tzinfo=UTC)
    rows = [
        ("eps", "FB", date(2022, 4, 28), datetime(2022, 4, 27, 20, tzinfo=UTC)),
        # On the evening before the rename in New York: the session is that of the next day.
        ("eps", "FB", META_DAY, evening),
        ("eps", "META", META_DAY, datetime(2022, 6, 9, 14, tzinfo=UTC)),
        ("eps", "FB", date(2022, 4, 28), correction),
        ("rate", "*", META_DAY, evening),
    ]
    series = pl.DataFrame(
        [(name, symbol, day, known, known, known, 0, 1.0) for name, symbol, day, known in rows],
        schema=TABLES["series"].empty().schema,
        orient="row",
    )
    found = series_by_company(series, FB, "America/New_York")
    assert found["symbol"].to_list() == ["META", "META", "META", "META", "*"]
    assert found.drop("symbol").equals(series.drop("symbol"))
    assert series_by_company(series, FB.clear(), "America/New_York") is series


def test_bars_by_company_are_those_that_labels_say() -> None:
    fund = bars("META", [day for day in before(META_DAY) if day < date(2022, 5, 20)], 15.0)
    found = bars_by_company(timed(pl.concat([TRADED.drop("event_time"), fund])), FB)
    assert set(labels(found)) == {"AAA", "META", "META-202206"}
