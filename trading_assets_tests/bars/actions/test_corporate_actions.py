from datetime import UTC, date, datetime

import polars as pl
import pytest

from trading_assets.bars.actions.corporate_actions import (
    check_actions,
    collect_actions,
    newest_closes,
)
from trading_assets.bars.actions.derived import derive_actions
from trading_assets.bars.actions.history import WITHDRAWN
from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.bars.sources.build import build_source
from trading_assets.errors import DataError
from trading_assets.schema import TABLES
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec
from trading_assets_tests.bars.example_minutes import minutes, with_history


@pytest.fixture(scope="module")
def sample() -> pl.DataFrame:
    return build_source(make_spec(), CALENDAR, {}).fetch(
        date(2000, 3, 1), date(2013, 3, 1), NOW
    ).rows  # fmt: skip


def prices(closes: list[float], adjusted: list[float | None], symbol: str = "A") -> pl.DataFrame:
    sessions = CALENDAR.sessions(date(2010, 1, 4), date(2010, 12, 31))[: len(closes)]
    return pl.DataFrame(
        {
            "symbol": symbol,
            "session": sessions,
            "close": closes,
            "vendor_adjusted_close": adjusted,
        },
        schema_overrides={"close": pl.Float64, "vendor_adjusted_close": pl.Float64},
    )


def action(
    kind: str, ex_date: date, ratio: float, cash: float, new_symbol: str | None = None
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": "A",
            "ex_date": ex_date,
            "kind": kind,
            "split_ratio": ratio,
            "cash_usd": cash,
            "knowledge_time": datetime(2010, 1, 4, tzinfo=UTC),
            "origin": "test",
            "new_symbol": new_symbol,
        },
        schema=TABLES["corporate_actions"].empty().schema,
    )


def test_the_sample_holds_the_95_real_actions(sample: pl.DataFrame) -> None:
    actions = derive_actions(sample)
    counts = {(s, k): n for s, k, n in actions.group_by("symbol", "kind").len().iter_rows()}
    assert counts == {
        ("AAPL", "split"): 2,
        ("AAPL", "dividend"): 3,
        ("IBM", "dividend"): 52,
        ("MSFT", "split"): 1,
        ("MSFT", "dividend"): 37,
    }
    splits = actions.filter(kind="split").select("symbol", "ex_date", "split_ratio", "cash_usd")
    assert splits.rows() == [
        ("AAPL", date(2000, 6, 21), 2.0, 0.0),
        ("AAPL", date(2005, 2, 28), 2.0, 0.0),
        ("MSFT", date(2003, 2, 18), 2.0, 0.0),
    ]
    assert check_actions(actions) == []


@pytest.mark.parametrize(
    ("symbol", "ex_date", "cash_usd"),
    [
        ("MSFT", date(2004, 11, 15), 3.08),
        ("AAPL", date(2012, 8, 9), 2.65),
        ("IBM", date(2000, 5, 8), 0.13),
        ("IBM", date(2013, 2, 6), 0.85),
    ],
)
def test_a_derived_dividend_is_the_one_that_was_paid(
    sample: pl.DataFrame, symbol: str, ex_date: date, cash_usd: float
) -> None:
    row = derive_actions(sample).filter(symbol=symbol, ex_date=ex_date).row(0, named=True)
    assert row["cash_usd"] == pytest.approx(cash_usd, abs=1e-9)
    assert row["split_ratio"] == 1.0


def test_total_returns_are_the_vendors_on_every_day(sample: pl.DataFrame) -> None:
    actions = derive_actions(sample)
    adjusted = pl.col("vendor_adjusted_close")
    vendor = sample.sort("symbol", "session").with_columns(
        (adjusted / adjusted.shift(1) - 1).over("symbol").alias("vendor")
    )
    compared = total_returns(sample, actions).join(vendor, on=["symbol", "session"])
    error = (compared["total_return"] - compared["vendor"]).abs()
    assert error.null_count() == 5
    # The vendor prints 12 digits or more; its rounding is far below the bar of 1e-9.
    assert (error.drop_nulls() < 1e-12).all()


def test_actions_of_a_month_led_by_the_row_before_are_those_of_the_whole(
    sample: pl.DataFrame,
) -> None:
    whole = derive_actions(sample)
    months = sample["session"].dt.truncate("1mo").unique().sort()
    parts: list[pl.DataFrame] = []
    for month in months:
        before = sample.filter(pl.col("session") < month).group_by("symbol").tail(1)
        parts.append(
            derive_actions(
                pl.concat([before, sample.filter(pl.col("session").dt.truncate("1mo") == month)])
            )
        )
    assert pl.concat(parts).sort("symbol", "ex_date", "kind").equals(whole)


def test_a_derived_action_is_known_at_the_open_of_its_ex_date(sample: pl.DataFrame) -> None:
    row = derive_actions(sample).filter(symbol="AAPL", kind="split").row(0, named=True)
    assert row["knowledge_time"] == datetime(2000, 6, 21, 13, 30, tzinfo=UTC)


def test_rounding_of_a_cheap_adjusted_price_is_no_action() -> None:
    closes = [100.0 + (n * 37 % 19) * 0.25 for n in range(60)]
    rows = prices(closes, [round(close / 300, 4) for close in closes])
    assert derive_actions(rows).is_empty()


def test_noise_in_the_close_itself_is_no_action() -> None:
    exact = [100.0 + (n * 37 % 19) * 0.2537 for n in range(60)]
    assert derive_actions(prices([round(c, 2) for c in exact], [*exact])).is_empty()


def test_a_split_with_a_dividend_on_one_day_keeps_both() -> None:
    rows = prices([90.0, 91.0, 30.5, 31.0], [30.0, 91 / 3, 31.0, 31 / 30.5 * 31.0])
    actions = derive_actions(rows)
    assert actions["kind"].to_list() == ["split"]
    assert actions["split_ratio"].to_list() == [3.0]
    assert actions["cash_usd"][0] == pytest.approx(1.5, abs=1e-6)
    assert total_returns(rows, actions)["total_return"][2] == pytest.approx(31 / (91 / 3) - 1)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.5, 4 / 3, 7.0, 20.0])
def test_a_split_is_stored_with_its_exact_ratio(ratio: float) -> None:
    closes = [100.0, 101.0, 102.0 / ratio, 103.0 / ratio]
    actions = derive_actions(prices(closes, [1.0, 1.01, 1.02, 1.03]))
    assert actions.select("kind", "split_ratio", "cash_usd").rows() == [("split", ratio, 0.0)]


def test_rows_without_an_adjusted_close_give_no_actions() -> None:
    actions = derive_actions(prices([1.0, 2.0], [None, None]))
    assert actions.schema == TABLES["corporate_actions"].empty().schema
    assert actions.is_empty()


def test_a_change_over_months_without_rows_is_no_action(sample: pl.DataFrame) -> None:
    gap = pl.col("session").is_between(date(2004, 2, 1), date(2005, 12, 31))
    actions = derive_actions(sample.filter(~gap))
    # IBM and MSFT paid dividends in the gap; their sum would appear on its first day after.
    assert actions.filter(
        pl.col("ex_date").is_between(date(2004, 2, 1), date(2006, 1, 31))
    ).is_empty()
    assert actions.filter(ex_date=date(2006, 2, 8), symbol="IBM")["cash_usd"].round(
        6
    ).to_list() == [0.2]


def test_two_rows_of_one_session_are_refused(sample: pl.DataFrame) -> None:
    with pytest.raises(DataError, match=r"more than one row on 2000-03-01; expected one"):
        derive_actions(pl.concat([sample, sample.head(1)]))


def test_a_later_action_does_not_change_earlier_returns(sample: pl.DataFrame) -> None:
    early = sample.filter(pl.col("session") < date(2005, 1, 1))
    whole = total_returns(sample, derive_actions(sample)).filter(
        pl.col("session") < date(2005, 1, 1)
    )
    assert total_returns(early, derive_actions(early)).equals(whole)


def test_an_action_on_a_day_without_a_bar_counts_in_the_next_bar() -> None:
    rows = prices([100.0, 50.0], [None, None])
    second = date(2010, 1, 6)
    rows = rows.with_columns(pl.Series("session", [date(2010, 1, 4), second]))
    returns = total_returns(rows, action("split", date(2010, 1, 5), 2.0, 0.0))
    assert returns["total_return"].to_list() == [None, 0.0]


def test_a_dividend_after_a_split_is_paid_on_the_new_shares() -> None:
    rows = prices([100.0, 49.0], [None, None]).with_columns(
        pl.Series("session", [date(2010, 1, 4), date(2010, 1, 7)])
    )
    both = pl.concat(
        [
            action("split", date(2010, 1, 5), 2.0, 0.0),
            action("dividend", date(2010, 1, 6), 1.0, 1.0),
        ]
    )
    assert total_returns(rows, both)["total_return"][1] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("kind", "ratio", "cash", "sentence"),
    [
        ("split", 1.0, 0.0, "ratio 1; expected another ratio"),
        ("split", -2.0, 0.0, "outside 0.001 to 1000"),
        ("split", float("nan"), 0.0, "outside 0.001 to 1000"),
        ("dividend", 2.0, 1.0, "dividend with a split ratio"),
        ("dividend", 1.0, 0.0, "dividend without cash"),
        ("dividend", 1.0, -1.0, "negative or unknown cash"),
        ("merger", 2.0, 0.0, "unknown kind"),
        ("spin_off", 2.0, 1.0, "spin-off with a split ratio"),
        ("spin_off", 1.0, 0.0, "spin-off without worth"),
        ("spin_off", 1.0, float("inf"), "negative or unknown cash"),
        ("rename", 1.0, 0.0, "rename without a new symbol"),
    ],
)
def test_an_impossible_action_is_named(kind: str, ratio: float, cash: float, sentence: str) -> None:
    found = check_actions(action(kind, date(2010, 1, 5), ratio, cash))
    assert any(sentence in line and "A on 2010-01-05" in line for line in found)


@pytest.mark.parametrize(
    ("kind", "ratio", "cash", "new_symbol", "sentence"),
    [
        ("rename", 2.0, 0.0, "B", "rename with a split ratio or cash"),
        ("rename", 1.0, 1.0, "B", "rename with a split ratio or cash"),
        ("rename", 1.0, 0.0, "A", "rename to itself"),
        ("rename", 1.0, 0.0, "../b", "symbol that is not allowed"),
        ("rename", 1.0, 0.0, "B\n", "symbol that is not allowed"),
        ("split", 2.0, 0.0, "B", "expected none unless renamed"),
    ],
)
def test_an_impossible_new_symbol_is_named(
    kind: str, ratio: float, cash: float, new_symbol: str, sentence: str
) -> None:
    found = check_actions(action(kind, date(2010, 1, 5), ratio, cash, new_symbol))
    assert len(found) == 1
    assert sentence in found[0]


def test_one_of_each_kind_is_no_problem() -> None:
    day = date(2010, 1, 5)
    whole = [
        action("split", day, 0.1, 0.0),
        action("dividend", day, 1.0, 0.5),
        action("spin_off", day, 1.0, 12.0),
        action("rename", day, 1.0, 0.0, "B"),
    ]
    assert check_actions(pl.concat(whole)) == []


def test_two_companies_renamed_to_one_ticker_on_one_day_are_named() -> None:
    one = action("rename", date(2010, 1, 5), 1.0, 0.0, "C")
    found = check_actions(pl.concat([one, one.with_columns(symbol=pl.lit("B"))]))
    assert len(found) == 2
    assert all("two renames to one ticker" in line for line in found)


@pytest.mark.parametrize("column", ["ex_date", "knowledge_time"])
def test_an_action_without_a_date_is_named(column: str) -> None:
    row = action("split", date(2010, 1, 5), 2.0, 0.0).with_columns(
        pl.lit(None).cast(TABLES["corporate_actions"].empty().schema[column]).alias(column)
    )
    assert any(f"has no {column.replace('_', ' ')}" in line for line in check_actions(row))


def test_an_action_listed_twice_is_named() -> None:
    row = action("split", date(2010, 1, 5), 2.0, 0.0)
    assert "occurs twice" in check_actions(pl.concat([row, row]))[0]


def test_an_announced_action_wins_over_a_derived_one(sample: pl.DataFrame) -> None:
    announced = action("dividend", date(2012, 8, 9), 1.0, 2.65).with_columns(symbol=pl.lit("AAPL"))
    actions = collect_actions(sample, announced)
    assert len(actions) == 95
    on_that_day = actions.filter(symbol="AAPL", ex_date=date(2012, 8, 9))
    assert on_that_day["origin"].to_list() == ["test"]


def test_a_withdrawn_announcement_leaves_what_prices_show(sample: pl.DataFrame) -> None:
    announced = action("dividend", date(2012, 8, 9), 1.0, 2.65).with_columns(symbol=pl.lit("AAPL"))
    withdrawn = announced.with_columns(
        pl.col("knowledge_time") + pl.duration(days=1), origin=pl.lit(WITHDRAWN)
    )
    actions = collect_actions(sample, pl.concat([withdrawn, announced]))
    assert actions.equals(derive_actions(sample))


def test_only_the_newest_version_of_an_announcement_counts(sample: pl.DataFrame) -> None:
    first = action("dividend", date(2012, 8, 9), 1.0, 2.65).with_columns(symbol=pl.lit("AAPL"))
    second = first.with_columns(
        pl.col("knowledge_time") + pl.duration(days=1), cash_usd=pl.lit(2.6)
    )
    actions = collect_actions(sample, pl.concat([second, first]))
    on_that_day = actions.filter(symbol="AAPL", ex_date=date(2012, 8, 9))
    assert on_that_day["cash_usd"].to_list() == [2.6]
    assert len(actions) == 95


def test_two_announcements_of_one_time_that_differ_are_both_left_to_the_check(
    sample: pl.DataFrame,
) -> None:
    first = action("dividend", date(2012, 8, 9), 1.0, 2.65).with_columns(symbol=pl.lit("AAPL"))
    actions = collect_actions(sample, pl.concat([first, first.with_columns(cash_usd=pl.lit(2.6))]))
    assert sum("occurs twice" in line for line in check_actions(actions)) == 2


def test_an_announced_rename_does_not_hide_a_dividend_of_its_day(sample: pl.DataFrame) -> None:
    renamed = action("rename", date(2012, 8, 9), 1.0, 0.0, "APPL").with_columns(
        symbol=pl.lit("AAPL")
    )
    assert len(collect_actions(sample, renamed)) == 96


def test_two_feeds_of_one_symbol_are_derived_apart(sample: pl.DataFrame) -> None:
    other = sample.with_columns(
        pl.lit("other").alias("feed"), pl.col("vendor_adjusted_close") * 0.5
    )
    is_other = pl.col("session").is_between(date(2007, 1, 1), date(2007, 12, 31))
    mixed = pl.concat([sample.filter(~is_other), other.filter(is_other)])
    actions = collect_actions(mixed, TABLES["corporate_actions"].empty())
    assert actions.join(
        derive_actions(sample), on=["symbol", "ex_date", "kind"], how="anti"
    ).is_empty()
    assert actions.filter(kind="split").height == 3


def test_a_session_in_several_bars_is_derived_from_its_last(sample: pl.DataFrame) -> None:
    noon = sample.with_columns(pl.col("event_time") - pl.duration(hours=4), pl.col("close") * 0.99)
    both = pl.concat([sample, noon])
    assert collect_actions(both, TABLES["corporate_actions"].empty()).equals(derive_actions(sample))


def test_an_adjusted_row_on_a_closed_day_is_known_at_the_next_open() -> None:
    rows = prices([100.0, 50.0], [50.0, 50.0]).with_columns(
        pl.Series("session", [date(2010, 1, 15), date(2010, 1, 18)])
    )
    actions = derive_actions(rows)
    assert actions["ex_date"].to_list() == [date(2010, 1, 18)]
    assert actions["knowledge_time"].to_list() == [datetime(2010, 1, 19, 14, 30, tzinfo=UTC)]


def test_the_closes_of_parts_are_the_closes_of_the_whole() -> None:
    rows = with_history(minutes(CALENDAR, date(2020, 3, 4), date(2020, 3, 10)))
    first = pl.col("session") < date(2020, 3, 6)
    parts = [newest_closes(rows.filter(part)) for part in (first, ~first)]
    assert pl.concat(parts).equals(newest_closes(rows))
    sessions = CALENDAR.sessions(date(2020, 3, 4), date(2020, 3, 10))
    assert pl.concat(parts)["session"].to_list() == sessions


def test_a_sessions_close_is_its_last_bar_in_the_newest_revision() -> None:
    rows = minutes(CALENDAR, date(2020, 3, 4), date(2020, 3, 4))
    last = rows.tail(1).with_columns(close=pl.lit(77.0), revision=pl.lit(1, pl.Int32))
    early = rows.head(1).with_columns(close=pl.lit(55.0), revision=pl.lit(3, pl.Int32))
    assert newest_closes(pl.concat([last, rows, early]))["close"].to_list() == [77.0]


def test_actions_of_closes_are_the_actions_of_all_bars(sample: pl.DataFrame) -> None:
    announced = TABLES["corporate_actions"].empty()
    of_closes = collect_actions(newest_closes(sample), announced)
    assert of_closes.equals(collect_actions(sample, announced))
    assert len(of_closes) == 95
