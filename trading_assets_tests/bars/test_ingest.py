from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.errors import DataError, UserError
from trading_assets.schema import UTC_TIME
from trading_assets_tests.bars.example_bars import CALENDAR, make_rows, make_spec

SPEC = make_spec(universe=("A", "B"))
FIRST, LAST = date(2010, 3, 1), date(2010, 3, 12)
T0 = datetime(2010, 3, 13, tzinfo=UTC)
SESSIONS = CALENDAR.sessions(FIRST, LAST)


def fetched(as_of: datetime, changes: dict[tuple[str, date], float] | None = None) -> pl.DataFrame:
    """Return one fetch at `as_of` in which some closes have other values."""
    rows = make_rows(SPEC, FIRST, LAST, as_of=as_of)
    for (symbol, session), close in (changes or {}).items():
        is_it = (pl.col("symbol") == symbol) & (pl.col("session") == session)
        rows = rows.with_columns(
            pl.when(is_it).then(pl.lit(close)).otherwise(pl.col("close")).alias("close")
        )
    return rows


corrections = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(SESSIONS)),
    st.floats(50, 150, allow_nan=False),
    max_size=6,
)


@settings(max_examples=20, deadline=None)
@given(history=st.lists(corrections, min_size=1, max_size=4))
def test_corrections_never_change_or_remove_what_was_known(
    history: list[dict[tuple[str, date], float]],
) -> None:
    stored = merge_revisions(None, fetched(T0))
    for n, changes in enumerate(history, start=1):
        now = T0 + timedelta(days=n)
        merged = merge_revisions(stored, fetched(now, changes))
        assert stored.join(merged, on=stored.columns, how="anti", nulls_equal=True).is_empty()
        for moment in (T0, now - timedelta(microseconds=1), datetime(2010, 3, 5, tzinfo=UTC)):
            assert as_known_at(merged, moment).equals(as_known_at(stored, moment))
        newest = as_known_at(merged, now).select("symbol", "session", "close")
        assert newest.equals(fetched(now, changes).select("symbol", "session", "close"))
        stored = merged


@settings(max_examples=15, deadline=None)
@given(changes=corrections)
def test_merging_the_same_fetch_twice_changes_nothing(
    changes: dict[tuple[str, date], float],
) -> None:
    stored = merge_revisions(None, fetched(T0))
    fetch = fetched(T0 + timedelta(days=1), changes)
    once = merge_revisions(stored, fetch)
    assert merge_revisions(once, fetch).equals(once)
    later = fetch.with_columns(ingest_time=pl.lit(T0 + timedelta(days=9)).cast(UTC_TIME))
    assert merge_revisions(once, later).equals(once)


def test_a_correction_is_a_new_row_known_from_its_ingestion_on() -> None:
    now = T0 + timedelta(days=1)
    merged = merge_revisions(
        merge_revisions(None, fetched(T0)), fetched(now, {("A", SESSIONS[2]): 77.0})
    )
    both = merged.filter(symbol="A", session=SESSIONS[2])
    assert both["revision"].to_list() == [0, 1]
    assert both["knowledge_time"].to_list()[1] == now
    assert both["close"].to_list()[1] == 77.0
    assert len(merged) == 2 * len(SESSIONS) + 1


def test_the_order_of_rows_in_a_fetch_does_not_matter() -> None:
    stored = merge_revisions(None, fetched(T0))
    fetch = fetched(T0 + timedelta(days=1), {("B", SESSIONS[0]): 60.0})
    assert merge_revisions(stored, fetch.reverse()).equals(merge_revisions(stored, fetch))


def test_a_bar_missing_from_a_later_fetch_stays() -> None:
    stored = merge_revisions(None, fetched(T0))
    fetch = fetched(T0 + timedelta(days=1)).filter(pl.col("session") != SESSIONS[3])
    assert merge_revisions(stored, fetch).equals(stored)


def test_a_bar_that_fills_a_gap_is_known_from_its_ingestion_on() -> None:
    gap = (pl.col("symbol") == "A") & (pl.col("session") == SESSIONS[3])
    stored = merge_revisions(None, fetched(T0).filter(~gap))
    now = T0 + timedelta(days=1)
    merged = merge_revisions(stored, fetched(now))
    assert merged.filter(gap)["knowledge_time"].to_list() == [now]
    assert merged.filter(gap)["revision"].to_list() == [0]
    assert as_known_at(merged, T0).equals(as_known_at(stored, T0))


def test_a_new_session_keeps_its_own_knowledge_time() -> None:
    evening_before = datetime(2010, 3, 11, 22, tzinfo=UTC)
    stored = merge_revisions(None, make_rows(SPEC, FIRST, LAST, as_of=evening_before))
    assert stored["session"].max() == date(2010, 3, 11)
    merged = merge_revisions(stored, fetched(T0))
    newest = merged.filter(session=LAST, symbol="A").row(0, named=True)
    assert newest["knowledge_time"] == datetime(2010, 3, 12, 21, 15, tzinfo=UTC)


def test_history_before_the_first_stored_bar_keeps_its_own_knowledge_time() -> None:
    stored = merge_revisions(None, fetched(T0).filter(pl.col("session") > SESSIONS[4]))
    merged = merge_revisions(stored, fetched(T0 + timedelta(days=1)))
    assert merged.equals(
        merged.with_columns(knowledge_time=pl.col("event_time") + timedelta(minutes=15))
    )


def test_nan_and_null_are_values_like_others() -> None:
    odd = {("A", SESSIONS[0]): float("nan")}
    stored = merge_revisions(None, fetched(T0, odd))
    assert merge_revisions(stored, fetched(T0 + timedelta(days=1), odd)).equals(stored)
    priced = fetched(T0 + timedelta(days=1), odd).with_columns(vendor_adjusted_close=pl.lit(1.0))
    assert len(merge_revisions(stored, priced)) == 2 * len(stored)


def versions(as_of: datetime, *closes: float) -> pl.DataFrame:
    """Return a fetch that holds the first bar once for each close."""
    bar = (pl.col("symbol") == "A") & (pl.col("session") == SESSIONS[0])
    rows = fetched(as_of)
    return pl.concat(
        [rows.filter(~bar), *(rows.filter(bar).with_columns(close=pl.lit(c)) for c in closes)]
    )


def of_first_bar(rows: pl.DataFrame) -> list[tuple[int, float]]:
    own = rows.filter(symbol="A", session=SESSIONS[0])
    return list(own.select("revision", "close").iter_rows())


def test_versions_of_a_bar_in_one_fetch_are_all_stored_in_any_order() -> None:
    stored = merge_revisions(None, versions(T0, 1.0, 2.0))
    assert of_first_bar(stored) == [(0, 1.0), (0, 2.0)]
    assert merge_revisions(None, versions(T0, 2.0, 1.0)).equals(stored)


def test_versions_that_come_again_add_nothing() -> None:
    stored = merge_revisions(None, versions(T0, 1.0, 2.0))
    again = versions(T0 + timedelta(days=1), 2.0, 1.0)
    assert merge_revisions(stored, again).equals(stored)


@pytest.mark.parametrize("closes", [(1.0,), (2.0,), (3.0,), (1.0, 3.0), (1.0, 2.0, 3.0)])
def test_other_versions_of_a_bar_supersede_those_before(closes: tuple[float, ...]) -> None:
    stored = merge_revisions(None, versions(T0, 1.0, 2.0))
    merged = merge_revisions(stored, versions(T0 + timedelta(days=1), *closes))
    assert of_first_bar(merged) == [(0, 1.0), (0, 2.0), *((1, close) for close in closes)]
    assert len(merged) == len(stored) + len(closes)
    assert as_known_at(merged, T0 + timedelta(hours=1)).equals(
        as_known_at(stored, T0 + timedelta(hours=1))
    )


def test_versions_of_a_bar_after_one_are_a_revision() -> None:
    stored = merge_revisions(None, versions(T0, 1.0))
    merged = merge_revisions(stored, versions(T0 + timedelta(days=1), 1.0, 2.0))
    assert of_first_bar(merged) == [(0, 1.0), (1, 1.0), (1, 2.0)]


def test_a_fetch_that_repeats_a_bar_stores_it_once() -> None:
    assert len(merge_revisions(None, pl.concat([fetched(T0), fetched(T0)]))) == 2 * len(SESSIONS)


def test_a_correction_from_an_earlier_fetch_is_refused() -> None:
    stored = merge_revisions(None, fetched(T0))
    with pytest.raises(DataError, match="expected a later fetch"):
        merge_revisions(stored, fetched(T0, {("A", SESSIONS[0]): 1.0}))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(UserError, match="without a time zone"):
        as_known_at(fetched(T0), datetime(2010, 3, 5))  # noqa: DTZ001 # what is tested


def test_series_are_merged_by_their_own_key() -> None:
    rows = fetched(T0).select(
        pl.lit("signal").alias("series"),
        "symbol",
        "session",
        "event_time",
        "knowledge_time",
        "ingest_time",
        "revision",
        pl.col("close").alias("value"),
    )
    stored = merge_revisions(None, rows, "series")
    assert merge_revisions(stored, rows, "series").equals(stored)
    assert as_known_at(stored, T0, "series").equals(stored)
