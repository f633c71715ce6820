import math
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_assets.bars.series.sentiment import LexiconModel
from trading_assets.errors import DataError, UserError
from trading_assets_tests.bars.example_bars import CALENDAR, NOW
from trading_assets_tests.bars.series.example_series import fetch, series_spec, utc, write_csv

HEADER = "symbol,published_at,headline"
NEWS = {"kind": "news", "file": "news.csv", "half_life_hours": 24}
# A week of which Friday is 2020-06-05; every close is at 20:00 UTC.
MONDAY, FRIDAY = date(2020, 6, 1), date(2020, 6, 5)


def spec_of(folder: Path, *lines: str, **declared: object):
    write_csv(folder / "news.csv", HEADER, *lines)
    return series_spec(folder, {**NEWS, **declared})


def values(rows: pl.DataFrame, series: str, symbol: str = "IBM") -> dict[date, float]:
    own = rows.filter(series=f"news_{series}", symbol=symbol)
    return dict(own.select("session", "value").iter_rows())


def lexicon(text: str) -> float:
    return round(LexiconModel().score([text])[0], 6)


def test_a_headline_counts_from_the_first_close_at_or_after_its_publication(
    tmp_path: Path,
) -> None:
    spec = spec_of(
        tmp_path,
        "IBM,2020-06-01T20:00:00Z,profits rise",
        "IBM,2020-06-01T20:00:01Z,guidance lowered",
        "IBM,2020-06-03,a dividend is paid",
        "IBM,2020-06-06T09:00:00+02:00,a store opens",
    )
    rows = fetch(spec, MONDAY, date(2020, 6, 8))
    assert list(values(rows, "count").values()) == [1, 1, 0, 1, 0, 1]
    assert set(rows["revision"]) == {0}
    assert rows["event_time"].equals(rows["knowledge_time"].alias("event_time"))
    closes = [CALENDAR.close_time(session) for session in rows["session"]]
    assert rows["knowledge_time"].to_list() == closes


def test_the_score_is_the_decayed_mean_of_the_headlines_so_far(tmp_path: Path) -> None:
    good, bad = "profits soar", "shares plunge on fraud"
    spec = spec_of(
        tmp_path,
        f"IBM,2020-06-01T20:00:00Z,{good}",
        f"IBM,2020-06-02T08:00:00Z,{bad}",
    )
    scores = values(fetch(spec, MONDAY, FRIDAY), "score")
    assert scores[MONDAY] == lexicon(good)
    weights = 0.5, math.sqrt(0.5)
    mean = np.average([lexicon(good), lexicon(bad)], weights=weights)
    assert scores[date(2020, 6, 2)] == pytest.approx(mean)
    # From Wednesday on less than one fresh headline is left, so the score fades.
    expected = (0.25 * lexicon(good) + math.sqrt(0.5) / 2 * lexicon(bad)) / 1
    assert scores[date(2020, 6, 3)] == pytest.approx(expected)
    assert scores[date(2020, 6, 4)] == pytest.approx(expected / 2)


def test_a_headline_of_twenty_half_lives_ago_counts_for_nothing(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path,
        "IBM,2020-06-01T20:00:00Z,profits soar",
        "IBM,2020-06-02T16:00:01Z,fraud",
        half_life_hours=1,
    )
    scores = values(fetch(spec, MONDAY, FRIDAY), "score")
    weight = 0.5 ** ((4 * 3600 - 1) / 3600)
    assert scores[date(2020, 6, 2)] == weight * lexicon("fraud")
    alone = fetch(spec, date(2020, 6, 2), FRIDAY)
    assert values(alone, "score") == {date(2020, 6, 2): scores[date(2020, 6, 2)]}


def test_novelty_is_the_share_of_headlines_unlike_those_of_the_days_before(
    tmp_path: Path,
) -> None:
    story = "IBM to buy Red Hat for 34 billion dollars"
    spec = spec_of(
        tmp_path,
        f"IBM,2020-06-01T12:00:00Z,{story}",
        f"IBM,2020-06-01T13:00:00Z,{story.upper()}!",
        "IBM,2020-06-01T14:00:00Z,A new mainframe is announced",
        "IBM,2020-06-02T12:00:00Z,Update: IBM to buy Red Hat for 34 billion dollars in cash",
        f"IBM,2020-06-05T13:00:01Z,{story}",
        f"AAPL,2020-06-02T13:00:01Z,{story}",
    )
    rows = fetch(spec, MONDAY, FRIDAY)
    assert values(rows, "novelty") == {
        MONDAY: pytest.approx(2 / 3),
        date(2020, 6, 2): 0.0,
        FRIDAY: 1.0,
    }
    assert values(rows, "novelty", "AAPL") == {date(2020, 6, 2): 1.0}
    for session in (date(2020, 6, 2), FRIDAY):
        assert fetch(spec, session, FRIDAY).equals(rows.filter(pl.col("session") >= session))
    strict = spec_of(
        tmp_path,
        f"IBM,2020-06-01T12:00:00Z,{story}",
        f"IBM,2020-06-02T12:00:00Z,Update: {story}",
        duplicate_overlap=1.0,
    )
    assert set(values(fetch(strict, MONDAY, FRIDAY), "novelty").values()) == {1.0}


def test_a_symbol_has_rows_from_its_first_headline_on_while_the_file_goes_on(
    tmp_path: Path,
) -> None:
    spec = spec_of(
        tmp_path,
        "IBM,2020-06-03T12:00:00Z,profits rise",
        "*,2020-06-04T12:00:00Z,markets rally",
        "ZZZ,2020-09-01T12:00:00Z,not of the universe",
        half_life_hours=12,
    )
    rows = fetch(spec, MONDAY, date(2020, 6, 30))
    # Twenty half lives are ten days; the last headline is of Thursday, June 4.
    assert list(values(rows, "count")) == CALENDAR.sessions(date(2020, 6, 3), date(2020, 6, 12))
    assert min(values(rows, "score", "*")) == date(2020, 6, 4)
    assert rows["symbol"].unique().sort().to_list() == ["*", "IBM"]


def test_a_file_without_symbols_is_about_the_market(tmp_path: Path) -> None:
    write_csv(tmp_path / "news.csv", "when,text", "2020-06-01T12:00:00Z,markets rally")
    source = {**NEWS, "columns": {"published_at": "when", "headline": "text"}, "series": "macro"}
    rows = fetch(series_spec(tmp_path, source), MONDAY, MONDAY)
    assert rows.select("series", "symbol").rows() == [
        ("macro_count", "*"),
        ("macro_novelty", "*"),
        ("macro_score", "*"),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("IBM,2020-06-01T12:00:00,x", "published_at was '2020-06-01T12:00:00'; expected a date"),
        ("IBM,2020-06-01T12:00:00Z,", "row 1: headline was empty"),
        ("IBM,2020-06-01T12:00:00Z, ", "headline was empty"),
        (",2020-06-01T12:00:00Z,x", "symbol was empty"),
    ],
)
def test_a_row_that_is_no_headline_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        fetch(spec_of(tmp_path, line))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "news.csv", "symbol,headline", "IBM,x")
    with pytest.raises(UserError, match="lacks the columns published_at"):
        fetch(series_spec(tmp_path, NEWS))


def test_what_is_not_published_changes_nothing(tmp_path: Path) -> None:
    past = [f"IBM,2020-06-0{day}T12:00:00Z,profits {word}" for day, word in ((1, "rise"), (2, "x"))]
    later = ["IBM,2020-06-03T20:00:01Z,fraud", "AAPL,2020-06-04T12:00:00Z,loss"]
    until = date(2020, 6, 3)
    alone = fetch(spec_of(tmp_path, *past), MONDAY, until)
    assert fetch(spec_of(tmp_path, *past, *later), MONDAY, until).equals(alone)
    as_of = CALENDAR.close_time(until)
    known = fetch(spec_of(tmp_path, *past, *later), MONDAY, FRIDAY, as_of)
    assert known.drop("ingest_time").equals(alone.drop("ingest_time"))
    assert set(known["ingest_time"]) == {as_of}


headlines = st.lists(
    st.tuples(
        st.sampled_from(["IBM", "AAPL", "*"]),
        st.integers(0, 90 * 24 * 60),
        st.lists(
            st.sampled_from(["profits", "rise", "fraud", "no", "IBM", "sharply", "\u00e9", "!"]),
            min_size=1,
            max_size=6,
        ).map(" ".join),
    ),
    max_size=25,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    written=headlines,
    start=st.dates(date(2020, 5, 1), date(2020, 8, 31)),
    days=st.integers(0, 60),
    half_life=st.sampled_from([1.0, 24.0, 500.0]),
    shuffled=st.randoms(use_true_random=False),
)
def test_any_range_and_moment_is_the_restriction_of_the_whole(
    tmp_path: Path,
    written: list[tuple[str, int, str]],
    start: date,
    days: int,
    half_life: float,
    shuffled,
) -> None:
    first = utc("2020-05-15T00:00")
    lines = [
        f"{symbol},{(first + timedelta(minutes=minute)).isoformat()},{text}"
        for symbol, minute, text in written
    ]
    shuffled.shuffle(lines)
    spec = spec_of(tmp_path, *lines, half_life_hours=half_life)
    whole = fetch(spec, date(2020, 4, 1), date(2020, 10, 30))
    end = start + timedelta(days=days)
    within = whole.filter(pl.col("session").is_between(start, end))
    assert fetch(spec, start, end).equals(within)
    moment = utc("2020-07-01T20:00") + timedelta(minutes=shuffled.randint(-999, 999))
    cut = [line for line in lines if datetime.fromisoformat(line.split(",")[1]) <= moment]
    known = within.filter(pl.col("knowledge_time") <= moment).drop("ingest_time")
    assert fetch(spec, start, end, moment).drop("ingest_time").equals(known)
    less = spec_of(tmp_path, *cut, half_life_hours=half_life)
    assert fetch(less, start, end, moment).drop("ingest_time").equals(known)
    assert whole["value"].is_between(-1, 1).filter(whole["series"] != "news_count").all()


def test_many_headlines_are_read_in_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    words = np.array(["profits", "rise", "fraud", "loss", "store", "opens", "chip", "deal", "new"])
    lines = [
        f"{('IBM', 'AAPL')[n % 2]},{utc('2020-01-02T00:00') + timedelta(minutes=100 * n)}"
        f",{' '.join(rng.choice(words, 6))} {n}"
        for n in range(5_000)
    ]
    spec = spec_of(tmp_path, *lines)
    begin = datetime.now(NOW.tzinfo)
    rows = fetch(spec, date(2020, 1, 2), date(2020, 12, 31))
    assert datetime.now(NOW.tzinfo) - begin < timedelta(seconds=10)
    assert len(rows) > 1400
