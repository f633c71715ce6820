import time
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.actions.corporate_actions import check_actions
from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.synthetic.market import synthetic_members
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import conform
from trading_assets.source_specs import SyntheticSource
from trading_assets_tests.bars.example_bars import make_spec

START, END = date(2019, 1, 2), date(2022, 12, 30)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
EVENTFUL = {
    "gap_share": 0.01, "halts_a_year": 6.0, "splits_a_year": 1.0, "dividends_a_year": 4.0,
    "late_listing_share": 0.3, "delisting_share": 0.3,
}  # fmt: skip
SYMBOLS = tuple(f"S{n}" for n in range(12))


def market(
    universe: tuple[str, ...] = SYMBOLS,
    calendar: str = "XNYS",
    bar_length: str = "1d",
    members: Any = (),
    **source: Any,
) -> MarketDataSpec:
    return make_spec(
        source={"kind": "synthetic", **source}, universe=universe, start=START, end=None,
        calendar=calendar, bar_length=bar_length, members=members,
    )  # fmt: skip


def fetch(
    spec: MarketDataSpec, start: date = START, end: date = END, as_of: datetime = NOW
) -> FetchedBars:
    return build_source(spec, get_calendar(spec.calendar), {}).fetch(start, end, as_of)


def same(one: FetchedBars, other: FetchedBars) -> bool:
    return one.rows.equals(other.rows) and one.actions.equals(other.actions)


def within(fetched: FetchedBars, start: date, end: date) -> FetchedBars:
    return FetchedBars(
        fetched.rows.filter(pl.col("session").is_between(start, end)),
        fetched.series,
        fetched.actions.filter(pl.col("ex_date").is_between(start, end)),
    )


DAILY = fetch(market(**EVENTFUL))
PLAIN = fetch(market())


@settings(max_examples=40, deadline=None)
@given(start=st.dates(START, END), end=st.dates(START, date(2026, 12, 31)))
def test_a_daily_range_is_the_slice_of_the_whole_history(start: date, end: date) -> None:
    part = fetch(market(**EVENTFUL), start, end)
    assert same(within(part, start, min(end, END)), within(DAILY, start, min(end, END)))


@pytest.mark.parametrize(
    ("calendar", "bar_length"), [("XNYS", "1m"), ("XNYS", "1h"), ("24/7", "5m"), ("24/5", "1h")]
)
def test_parts_of_an_intraday_range_make_up_the_whole(calendar: str, bar_length: str) -> None:
    # A half day, a change of clocks and, on XNYS, a part that holds nothing but the half day.
    spec = market(SYMBOLS[:3], calendar, bar_length, **EVENTFUL)
    days = [date(2019, 10, 28), date(2019, 11, 28), date(2019, 11, 30), date(2019, 12, 6)]
    whole = fetch(spec, days[0], days[-1])
    parts = [
        fetch(spec, days[0], date(2019, 11, 27)),
        fetch(spec, days[1], date(2019, 11, 29)),
        fetch(spec, days[2], days[3]),
    ]
    rows = pl.concat([part.rows for part in parts]).sort("symbol", "event_time")
    assert rows.equals(whole.rows)
    assert (
        pl.concat([part.actions for part in parts])
        .sort("symbol", "ex_date", "kind")
        .equals(whole.actions)
    )


def test_a_symbol_is_the_same_in_any_universe() -> None:
    alone = fetch(market(("S3",), **EVENTFUL))
    assert alone.rows.equals(DAILY.rows.filter(symbol="S3"))
    assert alone.actions.equals(DAILY.actions.filter(symbol="S3"))


def test_another_seed_gives_another_market() -> None:
    other = fetch(market(seed=8, **EVENTFUL))
    assert other.rows["close"].is_in(DAILY.rows["close"].implode()).sum() == 0


@pytest.mark.parametrize("bar_length", ["1d", "1h", "5m", "1m"])
@pytest.mark.parametrize("calendar", ["XNYS", "24/7", "24/5"])
def test_a_market_without_gaps_has_every_bar_of_the_calendar(
    calendar: str, bar_length: Any
) -> None:
    spec = market(SYMBOLS[:2], calendar, bar_length)
    start, end = date(2019, 10, 25), date(2019, 11, 30)
    rows = fetch(spec, start, end).rows
    chosen = get_calendar(calendar)
    grid = bar_closes(chosen, chosen.sessions(start, end), bar_length)
    for symbol in spec.universe:
        assert (
            rows.filter(symbol=symbol)
            .select("session", "event_time")
            .equals(grid.select("session", "event_time"))
        )
    assert conform("raw_bars", rows).equals(rows)


@pytest.mark.parametrize("bar_length", ["1d", "1h", "1m"])
def test_low_and_high_enclose_open_and_close_which_are_positive(bar_length: str) -> None:
    spec = market(SYMBOLS, "XNYS", bar_length, annual_volatility=1.0, **EVENTFUL)
    rows = fetch(spec, START, date(2019, 2, 28) if bar_length != "1d" else END).rows
    assert rows.filter(
        (pl.col("low") > pl.min_horizontal("open", "close"))
        | (pl.col("high") < pl.max_horizontal("open", "close"))
        | (pl.col("low") <= 0)
        | (pl.col("volume") < 1)
    ).is_empty()
    assert rows.filter(pl.col("low") < pl.min_horizontal("open", "close")).height > 0.9 * len(rows)


def test_sessions_open_and_close_alike_for_every_bar_length() -> None:
    start, end = date(2019, 11, 25), date(2019, 12, 6)
    often: dict[str, Any] = {"dividends_a_year": 12, "splits_a_year": 12}
    minute, daily = (
        fetch(market(SYMBOLS[:3], bar_length=length, **often), start, end)
        for length in ("1m", "1d")
    )
    sessions = minute.rows.group_by("symbol", "session", maintain_order=True).agg(
        pl.col("open").first(), pl.col("close").last(), pl.col("volume").sum()
    )
    expected = daily.rows.select(sessions.columns)
    assert sessions.select("symbol", "session", "open", "close").equals(
        expected.select("symbol", "session", "open", "close")
    )
    np.testing.assert_allclose(sessions["volume"], expected["volume"], rtol=1e-3)
    assert minute.actions.equals(daily.actions)
    assert not daily.actions.is_empty()


def test_a_bar_opens_where_the_one_before_closed_within_a_session() -> None:
    rows = fetch(market(SYMBOLS[:1], bar_length="5m"), START, START).rows
    assert rows["open"].slice(1).equals(rows["close"].head(len(rows) - 1).alias("open"))


def test_volatility_follows_the_declared_regimes() -> None:
    spec = market(
        ("A",), annual_volatility=0.2, turbulent_multiple=4, regime_bars=60, turbulent_share=0.3
    )
    close = fetch(spec, START, date(2034, 12, 29)).rows["close"].to_numpy()
    moves = np.diff(np.log(close)) * np.sqrt(252)
    # Mean variance of the mixture: (0.7 + 0.3 * 16) 0.2^2; both regimes last long, so windows of
    # ten sessions are of one kind or the other.
    assert np.sqrt(np.mean(moves**2)) == pytest.approx(0.2 * np.sqrt(5.5), rel=0.15)
    windows = np.sqrt(np.mean(moves[: len(moves) // 10 * 10].reshape(-1, 10) ** 2, axis=1))
    assert 0.14 < np.quantile(windows, 0.3) < 0.26
    assert 0.55 < np.quantile(windows, 0.9) < 1.05


def test_minute_bars_of_a_session_add_up_to_the_sessions_volatility() -> None:
    spec = market(("A",), bar_length="1m", annual_volatility=0.2, turbulent_multiple=1)
    rows = fetch(spec, START, date(2019, 12, 31)).rows
    realized = (
        rows.with_columns((pl.col("close") / pl.col("open")).log().pow(2).alias("square"))
        .group_by("session")
        .agg(pl.col("square").sum())["square"]
        .mean()
    )
    # 252 sessions of 390 bars: the standard error of the variance is below one percent.
    assert realized == pytest.approx(0.8 * 0.2**2 / 252, rel=0.03)


def test_highs_reach_as_far_as_a_bridges_maximum() -> None:
    spec = market(("A",), annual_volatility=0.2, turbulent_multiple=1)
    rows = fetch(spec, START, date(2034, 12, 29)).rows
    sigma = 0.2 * np.sqrt(0.8 / 252)
    reach = (rows["high"] / rows["open"]).log().mean()
    # E max of a Brownian motion over its time is sigma sqrt(2 / pi); 4,000 bars, error 1 %.
    assert reach == pytest.approx(sigma * np.sqrt(2 / np.pi), rel=0.05)


def test_symbols_are_correlated_as_declared() -> None:
    spec = market(("A", "B"), market_correlation=0.6, turbulent_multiple=1)
    wide = fetch(spec, START, date(2034, 12, 29)).rows.pivot(
        "symbol", index="session", values="close"
    )
    moves = np.diff(np.log(wide.select("A", "B").to_numpy()), axis=0)
    assert np.corrcoef(moves.T)[0, 1] == pytest.approx(0.6, abs=0.05)


def test_expected_returns_are_zero() -> None:
    universe = tuple(f"M{n}" for n in range(200))
    spec = market(universe, market_correlation=0.0, turbulent_multiple=1)
    rows = fetch(spec).rows
    growth = rows.group_by("symbol").agg(pl.col("close").last() / pl.col("open").first())["close"]
    # Four years of 25 %: one symbol's growth has a standard deviation of 0.53, the mean 0.04.
    assert growth.mean() == pytest.approx(1.0, abs=0.15)


def test_splits_and_dividends_leave_total_returns_unchanged() -> None:
    acted = fetch(market(splits_a_year=2, dividends_a_year=4))
    assert set(acted.actions["kind"]) == {"split", "dividend"}
    with_actions = total_returns(acted.rows, acted.actions)
    without = total_returns(PLAIN.rows, PLAIN.actions)
    np.testing.assert_allclose(
        with_actions["total_return"].drop_nulls(), without["total_return"].drop_nulls(), atol=1e-12
    )
    # The raw prices do jump.
    raw = total_returns(acted.rows, acted.actions.clear())["total_return"].drop_nulls()
    assert raw.abs().max() > 0.3  # pyright: ignore[reportOptionalOperand]


def test_actions_are_plausible_and_known_at_the_open_of_their_ex_date() -> None:
    actions = DAILY.actions
    assert check_actions(actions) == []
    assert actions["ex_date"].to_list() == [
        moment.date() for moment in actions["knowledge_time"].to_list()
    ]
    years = 4 * len(SYMBOLS)
    counts = dict(actions.group_by("kind").len().iter_rows())
    assert counts["dividend"] == pytest.approx(4 * years, rel=0.25)
    assert counts["split"] == pytest.approx(years, rel=0.5)


def test_an_action_is_not_told_before_it_is_known() -> None:
    known = DAILY.actions.filter(pl.col("knowledge_time") <= datetime(2020, 6, 1, 14, tzinfo=UTC))
    asked = fetch(market(**EVENTFUL), as_of=datetime(2020, 6, 1, 14, tzinfo=UTC))
    assert asked.actions.equals(known)
    assert asked.rows["knowledge_time"].max() <= datetime(2020, 6, 1, 14, tzinfo=UTC)  # pyright: ignore[reportOptionalOperand]


def test_gaps_take_the_declared_share_of_bars() -> None:
    gappy = fetch(market(gap_share=0.05))
    assert 1 - len(gappy.rows) / len(PLAIN.rows) == pytest.approx(0.05, abs=0.01)
    # What is left is unchanged.
    assert gappy.rows.join(PLAIN.rows, on=PLAIN.rows.columns[:3], how="semi").height == len(
        gappy.rows
    )


@pytest.mark.parametrize(("bar_length", "end"), [("1d", END), ("1m", date(2019, 6, 28))])
def test_halts_leave_out_bars_in_a_row(bar_length: Any, end: date) -> None:
    calm, halted = (
        fetch(market(SYMBOLS[:4], "XNYS", bar_length, halts_a_year=count), START, end).rows
        for count in (0, 10)
    )
    places = calm.with_columns(pl.int_range(pl.len()).over("symbol").alias("place"))
    missing = places.join(halted, on=["symbol", "event_time"], how="anti").sort("symbol", "place")
    runs = missing.group_by("symbol", pl.col("place") - pl.int_range(pl.len()).over("symbol")).len()
    years = 4 * (end - START).days / 365
    assert runs["len"].min() >= 2  # pyright: ignore[reportOptionalOperand]
    assert len(runs) == pytest.approx(10 * years, rel=0.4)
    assert halted.equals(
        calm.join(halted.select("symbol", "event_time"), on=["symbol", "event_time"], how="semi")
    )


def test_late_listings_and_delistings_bound_the_bars_whatever_the_end() -> None:
    spec = market(**EVENTFUL)
    assert isinstance(spec.source, SyntheticSource)
    members = synthetic_members(spec, spec.source, get_calendar("XNYS"))
    left = [member for member in members if member.delisting_reason]
    late = [member for member in members if member.first_session != START]
    assert left
    assert late
    for member in members:
        seen = DAILY.rows.filter(symbol=member.symbol)["session"]
        acted = DAILY.actions.filter(symbol=member.symbol)["ex_date"]
        for days in (seen, acted):
            assert min(days) >= (member.first_session or START)
            assert max(days) <= (member.last_session or END)
        # But for a gap or halt the bars reach the ends.
        calendar = get_calendar("XNYS")
        assert min(seen) <= calendar.next_session(member.first_session or START, 7)
        assert max(seen) >= calendar.previous_session(member.last_session or END, 7)
    notes = [f"{member.symbol} was delisted after" for member in left]
    assert len(DAILY.notes) == len(left)
    assert all(note.startswith(start) for note, start in zip(DAILY.notes, notes, strict=True))
    early = fetch(spec, START, START)
    assert early.notes == ()


def test_the_members_can_be_declared_as_the_universe() -> None:
    spec = market(**EVENTFUL)
    assert isinstance(spec.source, SyntheticSource)
    members = synthetic_members(spec, spec.source, get_calendar("XNYS"))
    declared = MarketDataSpec.model_validate(
        {
            "source": {"kind": "synthetic"},
            "universe": [member.model_dump() for member in members],
            "start": START,
        }
    )
    assert declared.members == tuple(sorted(members, key=lambda member: member.symbol))


def test_a_declared_delisting_ends_the_bars_and_an_index_change_does_not() -> None:
    last = date(2020, 3, 6)
    members = [
        {"symbol": "A", "last_session": last, "delisting_reason": "bankruptcy"},
        {"symbol": "B", "last_session": last, "delisting_reason": "index change"},
    ]
    rows = fetch(market(("A", "B"), members=members)).rows
    assert rows.filter(symbol="A")["session"].max() == last
    assert rows.filter(symbol="B")["session"].max() == END


def test_nothing_is_delivered_before_the_start() -> None:
    assert fetch(market(), date(2018, 1, 1), date(2018, 12, 31)).rows.is_empty()
    assert fetch(market(), date(2018, 1, 1), START).rows["session"].unique().to_list() == [START]


def test_a_volatility_that_kills_the_price_is_refused() -> None:
    spec = market(("A",), annual_volatility=2.9, turbulent_multiple=10)
    with pytest.raises(UserError, match=r"annual_volatility 2\.9 .* brings A to .* choose a small"):
        fetch(spec, START, date(2034, 12, 29))


def test_a_year_of_minute_bars_of_14_symbols_takes_less_than_three_seconds() -> None:
    spec = market(tuple(f"S{n}" for n in range(14)), bar_length="1m", gap_share=0.001)
    started = time.process_time()
    rows = fetch(spec, date(2020, 1, 1), date(2020, 12, 31)).rows
    assert len(rows) > 1_350_000
    # Processor seconds: a busy machine makes no test fail.
    assert time.process_time() - started < 3
