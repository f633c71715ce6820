"""A vendor's plain prices through the stamps: each row keeps its values, or the frame is refused."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import strategies as st

from trading_assets.bars.stamps import stamp_bars
from trading_assets_tests.bars.example_bars import CALENDAR, NOW
from trading_assets_tests.bars.validation.example_clean_bars import clean_spec
from trading_assets_tests.fuzz.bar_referee import bar_ends
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import floats, names

_NEW_YORK = ZoneInfo("America/New_York")
_LAG = timedelta(minutes=15)
_FIRST, _LAST = date(1990, 1, 1), date(2035, 12, 31)
_PRICES = ("open", "high", "low", "close", "volume")


class Given(NamedTuple):
    """Rows of symbol, time and five numbers; the time is a date, or a moment in `unit`."""

    is_daily: bool
    unit: str
    zone: str | None
    rows: tuple[tuple[Any, ...], ...]


def referee(given: Given) -> list[tuple[Any, ...]] | None:
    """Return symbol, session and end of the rows that are known by now, None if refused."""
    times = [row[1] for row in given.rows]
    if any(moment is None for moment in times) or (not given.is_daily and given.zone is None):
        return None
    if given.is_daily and any(not _FIRST <= day <= _LAST for day in times):
        return None
    found: list[tuple[Any, ...]] = []
    for symbol, moment, *numbers in given.rows:
        session, ended = _placed(given, moment)
        if ended + _LAG <= NOW:
            found.append((symbol, session, ended, *numbers))
    return found


def _placed(given: Given, moment: Any) -> tuple[date, datetime]:
    if not given.is_daily:
        inside = moment.astimezone(UTC) - timedelta(microseconds=1)
        return inside.astimezone(_NEW_YORK).date(), moment
    ends = bar_ends("1d").get(moment)
    regular = datetime.combine(moment, time(16), tzinfo=_NEW_YORK).astimezone(UTC)
    return moment, next(iter(ends)) if ends else regular


@contextmanager
def _open(_: Path) -> Generator[Check]:
    specs = {True: clean_spec(bar_length="1d"), False: clean_spec(bar_length="5m")}

    def check(given: Given, counts: Counts) -> None:
        frame = _frame(given)
        tables: list[pl.DataFrame] = []
        spec = specs[given.is_daily]
        refused = refusal_of(
            lambda: tables.append(stamp_bars(frame, spec, CALENDAR, NOW)), shows="expected"
        )
        expected = referee(given)
        counts.add(accepted=expected is not None, number=len(given.rows))
        assert (refused is None) == (expected is not None), refused
        if expected is not None:
            columns = ["symbol", "session", "event_time", *_PRICES]
            schema = {name: tables[0].schema[name] for name in columns}
            wanted = pl.DataFrame(expected, schema=schema, orient="row")
            assert tables[0].select(columns).sort(columns).equals(wanted.sort(columns))

    yield check


def _frame(given: Given) -> pl.DataFrame:
    name = "session" if given.is_daily else "event_time"
    dtype = pl.Date() if given.is_daily else pl.Datetime("us", "UTC")
    schema: dict[str, Any] = {
        "symbol": pl.String(),
        name: dtype,
        **dict.fromkeys(_PRICES, pl.Float64()),
    }
    frame = pl.DataFrame(given.rows, schema=schema, orient="row")
    if given.is_daily:
        return frame
    in_zone = pl.col(name).dt.convert_time_zone(given.zone or "UTC")
    if given.zone is None:
        in_zone = in_zone.dt.replace_time_zone(None)
    return frame.with_columns(in_zone.dt.cast_time_unit(given.unit))  # pyright: ignore[reportArgumentType]


_days = st.one_of(
    st.dates(date(2019, 1, 1), date(2019, 12, 31)),
    st.dates(date(2019, 1, 1), date(2019, 12, 31)),
    st.sampled_from((_FIRST, _LAST, date(2019, 7, 3), date(2019, 11, 29))),
)
_bad_days = st.one_of(
    st.none(), st.dates(), st.sampled_from((date.min, date.max, date(1989, 12, 31)))
)
_moments = st.datetimes(
    datetime(2019, 1, 1),
    datetime(2027, 12, 31),
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
_bad_moments = st.one_of(
    st.none(),
    st.sampled_from((datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))),
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
)


@st.composite
def _given(draw: st.DrawFn) -> Given:
    is_daily = draw(st.booleans())
    good, bad = (_days, _bad_days) if is_daily else (_moments, _bad_moments)
    numbers = st.one_of(st.none(), floats())
    row = st.tuples(
        st.one_of(st.none(), names(surrogates=False)), good, *([numbers] * len(_PRICES))
    )
    rows = draw(st.lists(row, min_size=1, max_size=30))
    if draw(st.integers(0, 2)) == 0:
        place = draw(st.integers(0, len(rows) - 1))
        rows[place] = (rows[place][0], draw(bad), *rows[place][2:])
    unit = draw(
        st.sampled_from(("us", "us", "ms", "ns" if all(_fits(r[1]) for r in rows) else "us"))
    )
    zones = ("UTC", "UTC", "America/New_York", "Asia/Kolkata", None)
    return Given(is_daily, unit, draw(st.sampled_from(zones)), tuple(rows))


def _fits(moment: Any) -> bool:
    return moment is not None and 1700 < moment.year < 2200


TARGET = Target(
    "bar_stamps",
    _given(),
    _open,
    quick=30,
    full=1_200,
    pinned=(Given(is_daily=True, unit="us", zone="UTC", rows=((None,) * 7,)),),
)
