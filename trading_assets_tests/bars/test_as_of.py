"""The bitemporal promise: what is read for a moment is what was known then, for good."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.actions.history import actions_known_at, merge_actions
from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.errors import DataError, UserError
from trading_assets.schema import TABLES, UTC_TIME
from trading_assets_tests.bars.example_bars import CALENDAR, make_rows, make_spec

SPEC = make_spec(universe=("A", "B"))
FIRST, LAST = date(2010, 3, 1), date(2010, 3, 12)
SESSIONS = CALENDAR.sessions(FIRST, LAST)
BARS = [(symbol, session) for symbol in SPEC.universe for session in SESSIONS]
SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)

MARCH = date(2010, 3, 1)
START = datetime(2010, 3, 4, 22, tzinfo=UTC)
LATER = datetime(2010, 3, 13, tzinfo=UTC)

Fetch = tuple[int, dict[tuple[str, date], float], frozenset[tuple[str, date]]]
Key = tuple[str, date, str]

# One fetch: hours since the one before, bars whose close differs, bars the vendor leaves out.
fetches = st.lists(
    st.tuples(
        st.integers(1, 80),
        st.dictionaries(st.sampled_from(BARS), st.sampled_from([50.0, 60.0, 70.0]), max_size=5),
        st.frozensets(st.sampled_from(BARS), max_size=4),
    ),
    min_size=1,
    max_size=6,
)


@cache
def whole() -> pl.DataFrame:
    return make_rows(SPEC, FIRST, LAST)


def bars_at(
    moment: datetime, changes: dict[tuple[str, date], float], holes: frozenset[tuple[str, date]]
) -> pl.DataFrame:
    published = whole().filter(pl.col("knowledge_time") <= pl.lit(moment).cast(UTC_TIME))
    bars = list(zip(published["symbol"], published["session"], strict=True))
    closes = published["close"].to_list()
    return published.with_columns(
        pl.Series("close", [changes.get(b, c) for b, c in zip(bars, closes, strict=True)]),
        pl.lit(moment).cast(UTC_TIME).alias("ingest_time"),
    ).filter(pl.Series([bar not in holes for bar in bars]))


def closes_of(rows: pl.DataFrame, value: str = "close") -> list[tuple[tuple[str, date], float]]:
    return [((s, day), close) for s, day, close in rows.select("symbol", "session", value).rows()]


def as_series(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.lit("signal").alias("series"),
        *("symbol", "session", "event_time", "knowledge_time", "ingest_time", "revision"),
        pl.col("close").alias("value"),
    )


def in_table(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows if table == "raw_bars" else as_series(rows)


@pytest.mark.parametrize("table", ["raw_bars", "series"])
@SETTINGS
@given(history=fetches)
def test_reading_as_of_a_fetch_gives_what_the_store_held_after_it(
    table: str, history: list[Fetch]
) -> None:
    value = "close" if table == "raw_bars" else "value"
    moment = START
    # The first fetch has no holes: what is asked for the first time has nothing before it.
    rows = bars_at(moment, {}, frozenset())
    stored = merge_revisions(None, in_table(table, rows), table)
    delivered: dict[tuple[str, date], float] = {}
    told: list[dict[tuple[str, date], float]] = []
    stores: list[tuple[datetime, pl.DataFrame]] = []
    for hours, changes, holes in [*history, (1, {}, frozenset[tuple[str, date]]())]:
        delivered = delivered | dict(closes_of(rows))
        told.append(delivered)
        stores.append((moment, stored))
        before, moment = moment, moment + timedelta(hours=hours)
        rows = bars_at(moment, changes, holes)
        stored = merge_revisions(stored, in_table(table, rows), table, {MARCH: before})
    for (then, held), closes in zip(stores, told, strict=True):
        for day in (then, then - timedelta(microseconds=1), then - timedelta(hours=30)):
            assert as_known_at(stored, day, table).equals(as_known_at(held, day, table))
        read = as_known_at(stored, then, table)
        assert dict(closes_of(read, value)) == closes


def test_a_bar_that_only_one_symbol_lacked_is_known_from_its_late_arrival_on() -> None:
    friday = datetime(2010, 3, 5, 22, tzinfo=UTC)
    stored = merge_revisions(None, bars_at(START, {}, frozenset()))
    late = ("A", date(2010, 3, 5))
    stored = merge_revisions(stored, bars_at(friday, {}, frozenset({late})))
    again = friday + timedelta(hours=3)
    merged = merge_revisions(stored, bars_at(again, {}, frozenset()))
    # Nothing of A was stored on Friday, but B's bar shows that A was asked for.
    row = merged.filter(symbol="A", session=late[1]).row(0, named=True)
    assert row["knowledge_time"] == again
    assert as_known_at(merged, friday).equals(as_known_at(stored, friday))


def test_a_fetch_that_added_nothing_still_dates_what_comes_after_it() -> None:
    friday, hole = datetime(2010, 3, 5, 22, tzinfo=UTC), date(2010, 3, 5)
    stored = merge_revisions(None, bars_at(START, {}, frozenset()))
    rows = bars_at(friday, {}, frozenset({("A", hole), ("B", hole)}))
    assert merge_revisions(stored, rows).equals(stored)
    again = friday + timedelta(hours=3)
    merged = merge_revisions(
        stored, bars_at(again, {}, frozenset()), fetched_before={MARCH: friday}
    )
    assert merged.filter(session=hole)["knowledge_time"].unique().to_list() == [again]


def test_vintages_of_one_period_are_read_as_they_were_published() -> None:
    months = [datetime(2010, month, 28, 13, tzinfo=UTC) for month in (1, 2, 3)]
    table = TABLES["series"]
    vintages = pl.DataFrame(
        {
            "series": "growth",
            "symbol": "*",
            "session": [moment.date() for moment in months],
            "event_time": datetime(2009, 12, 31, tzinfo=UTC),
            "knowledge_time": months,
            "ingest_time": months[-1],
            "revision": [0, 1, 2],
            "value": [5.7, 5.9, 5.6],
        },
        schema=table.empty().schema,
    ).sample(fraction=1.0, shuffle=True, seed=3)
    read = [as_known_at(vintages, moment, "series")["value"].to_list() for moment in months]
    assert read == [[5.7], [5.9], [5.6]]
    assert as_known_at(vintages, months[0] - timedelta(seconds=1), "series").is_empty()


def actions_at(moment: datetime, effects: dict[Key, float]) -> pl.DataFrame:
    rows = [
        (symbol, day, kind, value if kind == "split" else 1.0, 0.0 if kind == "split" else value)
        for (symbol, day, kind), value in effects.items()
    ]
    return (
        pl.DataFrame(
            rows,
            schema=["symbol", "ex_date", "kind", "split_ratio", "cash_usd"],
            orient="row",
            schema_overrides=TABLES["corporate_actions"].empty().schema,
        )
        .with_columns(
            pl.lit(None, dtype=pl.String).alias("new_symbol"),
            (pl.col("ex_date").cast(UTC_TIME) + pl.duration(hours=14)).alias("knowledge_time"),
            pl.lit("test").alias("origin"),
        )
        .select(TABLES["corporate_actions"].names)
        .filter(pl.col("knowledge_time") <= pl.lit(moment).cast(UTC_TIME))
    )


KEYS: list[Key] = [(s, d, k) for s in ("A", "B") for d in SESSIONS for k in ("split", "dividend")]


@SETTINGS
@given(
    history=st.lists(
        st.tuples(
            st.integers(1, 80),
            st.dictionaries(st.sampled_from(KEYS), st.sampled_from([2.0, 3.0, 0.5]), max_size=8),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_actions_read_as_of_a_fetch_are_those_it_delivered(
    history: list[tuple[int, dict[Key, float]]],
) -> None:
    moment, before = START, None
    stored: pl.DataFrame | None = None
    stores: list[tuple[datetime, pl.DataFrame, pl.DataFrame]] = []
    for hours, effects in history:
        moment += timedelta(hours=hours)
        fetched = actions_at(moment, effects)
        stored = merge_actions(stored, fetched, moment, fetched_before=before)
        before = moment
        stores.append((moment, stored, fetched))
    assert stored is not None
    effect = ["symbol", "ex_date", "kind", "split_ratio", "cash_usd", "new_symbol"]
    for then, held, fetched in stores:
        read = actions_known_at(stored, then)
        assert read.select(effect).equals(fetched.select(effect).sort(effect[:3]))
        for day in (then, then - timedelta(microseconds=1), then - timedelta(hours=30)):
            assert actions_known_at(stored, day).equals(actions_known_at(held, day))


def test_merging_the_same_actions_twice_changes_nothing() -> None:
    fetched = actions_at(LATER, {KEYS[0]: 2.0, KEYS[1]: 0.5})
    stored = merge_actions(None, fetched, START)
    again = merge_actions(stored, fetched.reverse(), LATER + timedelta(days=1))
    assert again.equals(stored)


def test_a_withdrawn_action_is_known_until_its_withdrawal() -> None:
    fetched = actions_at(LATER, {KEYS[1]: 0.5})
    stored = merge_actions(None, fetched, LATER)
    merged = merge_actions(stored, fetched.clear(), LATER + timedelta(days=1))
    assert actions_known_at(merged, LATER).equals(fetched)
    assert actions_known_at(merged, LATER + timedelta(days=1)).is_empty()
    assert len(merged) == 2
    back = merge_actions(merged, fetched, LATER + timedelta(days=2))
    assert actions_known_at(back, LATER + timedelta(days=2))["cash_usd"].to_list() == [0.5]


def test_a_fallbacks_answer_withdraws_nothing() -> None:
    fetched = actions_at(LATER, {KEYS[1]: 0.5})
    stored = merge_actions(None, fetched, LATER)
    later = LATER + timedelta(days=1)
    assert merge_actions(stored, fetched.clear(), later, is_complete=False).equals(stored)


def test_an_action_that_an_earlier_fetch_lacked_is_known_from_its_arrival_on() -> None:
    stored = merge_actions(None, actions_at(LATER, {}), LATER)
    later = LATER + timedelta(days=1)
    merged = merge_actions(stored, actions_at(later, {KEYS[0]: 2.0}), later, fetched_before=LATER)
    assert merged["knowledge_time"].to_list() == [later]


def test_a_correction_of_an_action_from_an_earlier_fetch_is_refused() -> None:
    stored = merge_actions(None, actions_at(LATER, {KEYS[0]: 2.0}), LATER)
    with pytest.raises(DataError, match="expected a later fetch"):
        merge_actions(stored, actions_at(LATER, {KEYS[0]: 3.0}), LATER, fetched_before=LATER)


def test_an_action_with_two_effects_in_one_fetch_is_refused() -> None:
    twice = pl.concat([actions_at(LATER, {KEYS[0]: value}) for value in (2.0, 3.0)])
    with pytest.raises(DataError, match="more than once with different effects"):
        merge_actions(None, twice, LATER)


def test_a_moment_of_actions_without_a_zone_is_refused() -> None:
    with pytest.raises(UserError, match="without a time zone"):
        actions_known_at(actions_at(LATER, {}), LATER.replace(tzinfo=None))
