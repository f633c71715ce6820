"""Renames: a company keeps one label over its tickers, and a ticker's next company another."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.actions.renames import follow_renames
from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.errors import DataError
from trading_assets.schema import TABLES
from trading_assets_tests.bars.example_bars import CALENDAR

SESSIONS = CALENDAR.sessions(date(2022, 5, 2), date(2022, 12, 30))
META_DAY = date(2022, 6, 9)


def renames(*of: tuple[str, date, str]) -> pl.DataFrame:
    table = TABLES["corporate_actions"]
    rows = [
        (old, day, "rename", 1.0, 0.0, new, datetime(2022, 1, 3, tzinfo=UTC), "test")
        for old, day, new in of
    ]
    return pl.DataFrame(rows, schema=table.empty().schema, orient="row")


def bars(symbol: str, sessions: list[date], first_close: float = 100.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": symbol,
            "session": sessions,
            "close": [first_close * 1.01**n for n in range(len(sessions))],
        },
        schema={"symbol": pl.String, "session": pl.Date, "close": pl.Float64},
    )


def before(day: date) -> list[date]:
    return [session for session in SESSIONS if session < day]


def since(day: date, until: date = SESSIONS[-1]) -> list[date]:
    return [session for session in SESSIONS if day <= session < until]


def labels(rows: pl.DataFrame) -> dict[str, tuple[date, date]]:
    spans = rows.group_by("symbol").agg(
        pl.col("session").min().alias("first"), pl.col("session").max().alias("last")
    )
    return {symbol: (first, last) for symbol, first, last in spans.rows()}


def test_returns_continue_over_a_rename() -> None:
    whole = bars("META", SESSIONS)
    traded = whole.with_columns(
        pl.when(pl.col("session") < META_DAY).then(pl.lit("FB")).otherwise("symbol").alias("symbol")
    )
    actions = renames(("FB", META_DAY, "META"))
    followed = follow_renames(traded, actions)
    assert followed.equals(whole)
    returns = total_returns(followed, follow_renames(actions, actions))
    assert returns["total_return"].null_count() == 1
    assert returns["total_return"][1:].to_list() == pytest.approx([0.01] * (len(SESSIONS) - 1))


def test_a_dividend_under_the_old_ticker_follows_the_company() -> None:
    day = date(2022, 6, 1)
    dividend = renames(("FB", day, "X")).with_columns(
        kind=pl.lit("dividend"), cash_usd=pl.lit(3.0), new_symbol=pl.lit(None, dtype=pl.String)
    )
    actions = pl.concat([renames(("FB", META_DAY, "META")), dividend])
    traded = pl.concat([bars("FB", before(META_DAY)), bars("META", since(META_DAY))])
    followed = follow_renames(actions, actions)
    assert followed.filter(kind="dividend")["symbol"].to_list() == ["META"]
    returns = total_returns(follow_renames(traded, actions), followed)
    place = SESSIONS.index(day)
    assert returns["total_return"][place] == pytest.approx(0.01 + 3.0 / traded["close"][place - 1])


def test_a_company_that_takes_the_old_ticker_later_is_another_instrument() -> None:
    taken = date(2022, 9, 1)
    traded = pl.concat(
        [
            bars("FB", before(META_DAY)),
            bars("META", since(META_DAY), first_close=100 * 1.01 ** len(before(META_DAY))),
            bars("FB", since(taken), first_close=7.0),
        ]
    )
    actions = renames(("FB", META_DAY, "META"))
    followed = follow_renames(traded, actions)
    assert labels(followed) == {
        "META": (SESSIONS[0], SESSIONS[-2]),
        "FB": (taken, SESSIONS[-2]),
    }
    assert followed.filter(symbol="FB")["close"].max() < 20  # pyright: ignore[reportOperatorIssue]
    assert total_returns(followed, actions)["total_return"].abs().max() < 0.011  # pyright: ignore[reportOperatorIssue]


def test_a_chain_ends_at_the_newest_ticker() -> None:
    second, third = date(2022, 6, 9), date(2022, 9, 1)
    traded = pl.concat(
        [bars("A", before(second)), bars("B", since(second, third)), bars("C", since(third))]
    )
    actions = renames(("B", third, "C"), ("A", second, "B"))
    assert labels(follow_renames(traded, actions)) == {"C": (SESSIONS[0], SESSIONS[-2])}
    assert labels(follow_renames(traded, actions, date(2022, 8, 31))) == {
        "B": (SESSIONS[0], date(2022, 8, 31)),
        "C": (third, SESSIONS[-2]),
    }


def test_a_ticker_that_comes_back_is_one_company() -> None:
    away, back = date(2022, 6, 9), date(2022, 9, 1)
    traded = pl.concat(
        [bars("A", before(away)), bars("B", since(away, back)), bars("A", since(back))]
    )
    actions = renames(("A", away, "B"), ("B", back, "A"))
    assert follow_renames(traded, actions)["symbol"].unique().to_list() == ["A"]


def test_two_companies_that_swap_tickers_keep_their_returns() -> None:
    day = date(2022, 9, 1)
    traded = pl.concat(
        [
            bars("A", before(day), 10.0),
            bars("B", before(day), 500.0),
            bars("A", since(day), 500.0),
            bars("B", since(day), 10.0),
        ]
    )
    followed = follow_renames(traded, renames(("A", day, "B"), ("B", day, "A")))
    prices = followed.group_by("symbol").agg(pl.col("close").min()).sort("symbol")
    assert prices.rows() == [("A", 500.0), ("B", 10.0)]


def test_the_former_holder_of_a_taken_ticker_is_named_by_the_month_it_was_taken() -> None:
    day = date(2022, 9, 1)
    gone = [session for session in SESSIONS if session < date(2022, 7, 1)]
    traded = pl.concat(
        [bars("B", gone, 3.0), bars("A", before(day), 50.0), bars("B", since(day), 60.0)]
    )
    actions = renames(("A", day, "B"))
    assert labels(follow_renames(traded, actions)) == {
        "B-202209": (gone[0], gone[-1]),
        "B": (SESSIONS[0], SESSIONS[-2]),
    }
    assert follow_renames(traded, actions, date(2022, 8, 31)).equals(traded)


def test_a_reused_ticker_that_is_renamed_in_turn_follows_its_own_company() -> None:
    first, second = date(2022, 6, 9), date(2022, 10, 3)
    taken = date(2022, 8, 1)
    traded = pl.concat(
        [
            bars("A", before(first)),
            bars("B", since(first)),
            bars("A", since(taken, second), 7.0),
            bars("C", since(second), 8.0),
        ]
    )
    followed = follow_renames(traded, renames(("A", first, "B"), ("A", second, "C")))
    assert labels(followed) == {
        "B": (SESSIONS[0], SESSIONS[-2]),
        "C": (taken, SESSIONS[-2]),
    }


def test_as_of_the_day_before_a_rename_nothing_is_relabelled() -> None:
    traded = pl.concat([bars("FB", before(META_DAY)), bars("META", since(META_DAY))])
    actions = renames(("FB", META_DAY, "META"))
    assert follow_renames(traded, actions, date(2022, 6, 8)).equals(traded)
    assert not follow_renames(traded, actions, META_DAY).equals(traded)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from("ABCD"), st.integers(1, 120), st.sampled_from("ABCD")),
        max_size=6,
        unique_by=(lambda move: move[1]),
    ),
    cut=st.integers(0, 120),
)
def test_rows_up_to_a_day_depend_on_no_later_rename(
    moves: list[tuple[str, int, str]], cut: int
) -> None:
    # Four companies trade under tickers that they take in turn, each free when it is taken.
    ticker_of = dict(zip("abcd", "ABCD", strict=True))
    rows: list[tuple[str, date, float]] = []
    known: list[tuple[str, date, str]] = []
    free: dict[str, int] = {}
    by_day = {place: (old, new) for old, place, new in moves}
    for place, session in enumerate(SESSIONS[:121]):
        old, new = by_day.get(place, ("", ""))
        company = next((c for c, ticker in ticker_of.items() if ticker == old), None)
        is_free = new not in ticker_of.values() and place - free.get(new, -99) > 10
        target = new if is_free else f"{old}{place}"[:6]
        if company is not None and old != new:
            known.append((old, session, target))
            ticker_of[company], free[old] = target, place
        rows += [(t, session, float(ord(c))) for c, t in ticker_of.items()]
    traded = pl.DataFrame(
        rows, schema={"symbol": pl.String, "session": pl.Date, "close": pl.Float64}, orient="row"
    )
    actions, day = renames(*known), SESSIONS[cut]
    followed = follow_renames(traded, actions)
    # The close names the company: each has one label, and each label one company.
    assert followed.select("symbol", "close").unique().height == 4
    assert followed["symbol"].n_unique() == 4
    seen = pl.col("session") <= day
    early = actions.filter(pl.col("ex_date") <= day)
    assert (
        follow_renames(traded, actions, day)
        .filter(seen)
        .equals(follow_renames(traded.filter(seen), early))
    )


def test_rows_stay_in_their_order_with_their_columns() -> None:
    traded = pl.concat([bars("META", since(META_DAY)), bars("FB", before(META_DAY))]).reverse()
    followed = follow_renames(traded, renames(("FB", META_DAY, "META")))
    assert followed.columns == traded.columns
    assert followed.drop("symbol").equals(traded.drop("symbol"))


def test_rows_without_renames_are_returned_as_they_are() -> None:
    traded = bars("FB", SESSIONS)
    assert follow_renames(traded, renames()).equals(traded)
    assert follow_renames(traded, renames(("X", META_DAY, "Y"))).equals(traded)
    assert follow_renames(traded.clear(), renames(("FB", META_DAY, "META"))).is_empty()


def test_two_companies_under_one_ticker_at_one_time_are_refused() -> None:
    other = [*before(date(2022, 5, 20)), *since(META_DAY)]
    traded = pl.concat([bars("FB", before(META_DAY)), bars("META", other)])
    # META's first holder left in May, so these are two companies ...
    actions = renames(("FB", META_DAY, "META"))
    assert set(labels(follow_renames(traded, actions))) == {"META", "META-202206"}
    # ... but a third that becomes META by a chain of its own cannot be told from FB.
    third = pl.concat([traded, bars("X", before(META_DAY))])
    both = renames(("FB", META_DAY, "META"), ("X", META_DAY, "META"))
    with pytest.raises(DataError, match=r"FB and X both have a bar of 2022-05-02.*both are META"):
        follow_renames(third, both)


def test_a_source_that_has_mapped_tickers_itself_is_refused() -> None:
    mapped = bars("META", SESSIONS)
    with pytest.raises(DataError, match="has mapped the tickers already"):
        follow_renames(mapped, renames(("FB", META_DAY, "META")))
