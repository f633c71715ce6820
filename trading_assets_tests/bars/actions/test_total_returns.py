"""Splits, reverse splits, dividends and spin-offs in returns, and levels as of a day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.actions.derived import derive_actions
from trading_assets.bars.actions.total_returns import adjusted_levels, total_returns
from trading_assets.bars.sources.build import build_source
from trading_assets.errors import DataError
from trading_assets.schema import TABLES
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

SESSIONS = CALENDAR.sessions(date(2010, 1, 4), date(2010, 6, 30))
NO_ACTIONS = TABLES["corporate_actions"].empty()

prices = st.lists(st.floats(5.0, 500.0), min_size=6, max_size=40)


def make_bars(closes: list[float], symbol: str = "A") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": symbol,
            "session": SESSIONS[: len(closes)],
            "open": [close * 0.99 for close in closes],
            "high": [close * 1.02 for close in closes],
            "low": [close * 0.98 for close in closes],
            "close": closes,
            "volume": 1000.0,
        }
    )


def make_action(kind: str, ex_date: date, ratio: float = 1.0, cash: float = 0.0) -> pl.DataFrame:
    values: dict[str, Any] = {
        "symbol": "A",
        "ex_date": ex_date,
        "kind": kind,
        "split_ratio": ratio,
        "cash_usd": cash,
        "knowledge_time": datetime(2010, 1, 4, tzinfo=UTC),
        "origin": "test",
        "new_symbol": None,
    }
    return pl.DataFrame(values, schema=NO_ACTIONS.schema)


# What happens on a session: the action, and the raw close a holder of one old share sees.
EVENTS = {
    "split": (2.0, 0.0),
    "reverse split": (0.1, 0.0),
    "dividend": (1.0, 1.5),
    "spin_off": (1.0, 3.0),
}


def with_event(bars: pl.DataFrame, name: str, at: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return bars and action in which `name` happens at row `at`, total wealth unchanged."""
    ratio, cash = EVENTS[name]
    day = bars["session"][at]
    raw = bars.with_columns(
        pl.when(pl.col("session") >= day)
        .then((pl.col(column) - cash) / ratio)
        .otherwise(column)
        .alias(column)
        for column in ("open", "high", "low", "close")
    )
    kind = "split" if ratio != 1 else name
    return raw, make_action(kind, day, ratio, cash)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(closes=prices, at=st.integers(2, 5), name=st.sampled_from(sorted(EVENTS)))
def test_an_action_inserted_later_leaves_every_earlier_return_as_it_was(
    closes: list[float], at: int, name: str
) -> None:
    bars = make_bars(closes)
    before = total_returns(bars, NO_ACTIONS)
    raw, action = with_event(bars, name, at)
    after = total_returns(raw, action)
    assert after["total_return"][:at].to_list() == before["total_return"][:at].to_list()
    # On the ex date itself the holder has what he would have had without the action.
    assert after["total_return"][at] == pytest.approx(before["total_return"][at], abs=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    closes=prices,
    at=st.integers(1, 5),
    ratio=st.sampled_from([2.0, 0.1, 1.5, 4 / 3, 20.0]),
)
def test_a_split_changes_no_return_at_all(closes: list[float], at: int, ratio: float) -> None:
    bars = make_bars(closes)
    day = bars["session"][at]
    raw = bars.with_columns(
        pl.when(pl.col("session") >= day).then(pl.col("close") / ratio).otherwise("close")
        .alias("close")
    )  # fmt: skip
    split = total_returns(raw, make_action("split", day, ratio))["total_return"]
    whole = total_returns(bars, NO_ACTIONS)["total_return"]
    assert (split - whole).abs().max() < 1e-12  # pyright: ignore[reportOperatorIssue]


def test_a_spin_off_counts_as_cash_of_its_worth() -> None:
    bars = make_bars([100.0, 70.0])
    returns = total_returns(bars, make_action("spin_off", SESSIONS[1], 1.0, 33.0))
    assert returns["total_return"][1] == pytest.approx(0.03, abs=1e-12)


def test_a_split_and_a_dividend_of_one_ex_date_are_both_for_an_old_share() -> None:
    both = pl.concat(
        [make_action("split", SESSIONS[1], 2.0), make_action("dividend", SESSIONS[1], 1.0, 4.0)]
    )
    returns = total_returns(make_bars([100.0, 48.0]), both)
    assert returns["total_return"][1] == pytest.approx(0.0, abs=1e-12)


def test_an_action_counts_once_in_a_session_of_several_bars() -> None:
    closes = [100.0, 100.0, 50.0, 51.0]
    days = [SESSIONS[0], SESSIONS[0], SESSIONS[1], SESSIONS[1]]
    bars = pl.DataFrame(
        {
            "symbol": "A",
            "session": days,
            "event_time": [
                datetime(d.year, d.month, d.day, 15 + n % 2, tzinfo=UTC) for n, d in enumerate(days)
            ],
            "close": closes,
        }
    )
    returns = total_returns(bars, make_action("split", SESSIONS[1], 2.0))
    assert returns["total_return"].to_list() == [None, 0.0, 0.0, pytest.approx(0.02)]
    assert "event_time" in returns.columns
    levels = adjusted_levels(bars, make_action("split", SESSIONS[1], 2.0), SESSIONS[1])
    assert levels["close"].to_list() == [50.0, 50.0, 50.0, 51.0]


def test_two_bars_of_one_time_are_refused() -> None:
    bars = make_bars([100.0, 101.0])
    with pytest.raises(DataError, match="A has more than one bar of 2010-01-04; expected one"):
        total_returns(pl.concat([bars, bars.head(1)]), NO_ACTIONS)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(closes=prices, at=st.integers(2, 5), name=st.sampled_from(sorted(EVENTS)))
def test_levels_as_of_a_day_before_an_action_do_not_know_it(
    closes: list[float], at: int, name: str
) -> None:
    bars = make_bars([close + 10 for close in closes])
    raw, action = with_event(bars, name, at)
    eve = raw["session"][at - 1]
    levels = adjusted_levels(raw, action, eve)
    assert levels.equals(adjusted_levels(raw.filter(pl.col("session") <= eve), NO_ACTIONS, eve))
    assert levels.equals(raw.head(at))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(closes=prices, name=st.sampled_from(sorted(EVENTS)))
def test_levels_change_by_the_total_return_and_end_at_the_raw_price(
    closes: list[float], name: str
) -> None:
    raw, action = with_event(make_bars([close + 10 for close in closes]), name, 3)
    actions = pl.concat([action, make_action("dividend", SESSIONS[1], 1.0, 0.4)])
    levels = adjusted_levels(raw, actions, SESSIONS[-1])
    returns = total_returns(raw, actions)["total_return"].drop_nulls()
    changes = (levels["close"] / levels["close"].shift(1) - 1).drop_nulls()
    assert ((returns - changes).abs() < 1e-12).all()
    assert levels["close"][-1] == raw["close"][-1]
    ratio = EVENTS[name][0]
    assert levels["volume"].to_list() == [1000.0 * ratio] * 3 + [1000.0] * (len(raw) - 3)
    assert (levels["high"] / levels["close"] - raw["high"] / raw["close"]).abs().max() < 1e-12  # pyright: ignore[reportOperatorIssue]


def test_levels_of_one_symbol_know_no_action_of_another() -> None:
    both = pl.concat([make_bars([100.0, 50.0]), make_bars([10.0, 11.0], "B")])
    levels = adjusted_levels(both, make_action("split", SESSIONS[1], 2.0), SESSIONS[1])
    assert levels.filter(symbol="B").equals(make_bars([10.0, 11.0], "B"))


def test_the_samples_levels_as_of_its_end_move_like_the_vendors_adjusted_close() -> None:
    rows = build_source(make_spec(), CALENDAR, {}).fetch(
        date(2000, 3, 1), date(2013, 3, 1), NOW
    ).rows  # fmt: skip
    levels = adjusted_levels(rows, derive_actions(rows), date(2013, 3, 1))
    growth = pl.col("vendor_adjusted_close") / pl.col("close")
    # The vendor went on adjusting after the sample's end: a constant factor a symbol.
    spread = levels.group_by("symbol").agg(growth.max() / growth.min() - 1)
    assert (spread["vendor_adjusted_close"] < 1e-9).all()


def test_what_is_known_up_to_a_day_gives_the_levels_of_that_day() -> None:
    rows = build_source(make_spec(), CALENDAR, {}).fetch(
        date(2000, 3, 1), date(2013, 3, 1), NOW
    ).rows  # fmt: skip
    actions = derive_actions(rows)
    day = date(2005, 2, 25)
    early = rows.filter(pl.col("session") <= day)
    known = actions.filter(pl.col("ex_date") <= day)
    assert adjusted_levels(rows, actions, day).equals(adjusted_levels(early, known, day))
    later = adjusted_levels(rows, actions, day + timedelta(days=3))
    ratio = (
        later.filter(symbol="AAPL")["close"][0]
        / (adjusted_levels(rows, actions, day).filter(symbol="AAPL")["close"][0])
    )
    assert ratio == pytest.approx(0.5, abs=1e-9)
