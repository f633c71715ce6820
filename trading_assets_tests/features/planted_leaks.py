"""The catalogue: planted leaks and honest look-alikes, and how the certificate judges them.

Each entry adds a column to a table of features. The docstring of the function that makes it says,
in one line, how it leaks; that line is what docs/leaks.md shows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from trading_assets.features.causality import (
    REMOVED,
    REPLACED,
    SessionsFunction,
    draw_moments,
    find_leaks_of_months,
)
from trading_assets.features.scrambling import FeatureInputs
from trading_assets.schema import conform
from trading_assets_tests.features import (
    honest_lookalikes,
    leaks_in_columns,
    leaks_in_tables,
    leaks_in_transforms,
)
from trading_assets_tests.features.synthetic_bars import (
    close_time,
    make_actions,
    make_bars,
    weekdays,
)

Column = Callable[[FeatureInputs], pl.DataFrame]

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
START, COUNT = date(2004, 1, 1), 560
SESSIONS = weekdays(START, COUNT)
# DDD is delisted while the last month, which is always tried, still runs.
DELISTED = SESSIONS[-3]
MONTHS = sorted({session.replace(day=1) for session in SESSIONS})[-8:]

LEAKS: Mapping[str, Column] = (
    leaks_in_columns.LEAKS | leaks_in_transforms.LEAKS | leaks_in_tables.LEAKS
)
# Rows that come and go end the comparison, so such an entry stands in a table of its own.
LOSE_ROWS = ("survivors_only",)
HONEST: Mapping[str, Column] = honest_lookalikes.HONEST


@dataclass(frozen=True)
class Judgement:
    """What the certificate says of one entry: its sentences, and which treatment gave some."""

    name: str
    how: str
    sentences: tuple[str, ...]

    @property
    def by_truncation(self) -> bool:
        return any(REMOVED in sentence for sentence in self.sentences)

    @property
    def by_scramble(self) -> bool:
        return any(REPLACED in sentence for sentence in self.sentences)


def make_inputs() -> FeatureInputs:
    """Return three tables with what leaks feed on: late news, revisions, actions, a delisting."""
    bars = make_bars(SYMBOLS, COUNT, START, seed=7)
    bars = bars.filter((pl.col("symbol") != "DDD") | (pl.col("session") <= DELISTED))
    actions = make_actions(
        [
            (symbol, SESSIONS[place], kind, ratio, cash)
            for number, symbol in enumerate(SYMBOLS)
            for place, kind, ratio, cash in (
                (300 + 20 * number, "split", 2.0, 0.0),
                (COUNT - 2, "split", 3.0, 0.0),
                *((k + number, "dividend", 1.0, 0.4) for k in range(40, COUNT - 9, 63)),
                (COUNT - 1, "dividend", 1.0, 0.4),
            )
        ]
    )
    return FeatureInputs(bars, actions, _make_series())


def judge(entries: Mapping[str, Column], months: Sequence[date] = MONTHS) -> list[Judgement]:
    """Put entries through what the asset `features` calls when it computes some months."""
    whole = {name: column for name, column in entries.items() if name not in LOSE_ROWS}
    tables = [whole, *({name: entries[name]} for name in entries if name in LOSE_ROWS)]
    inputs = make_inputs()
    moments = draw_moments(inputs.bars["session"].to_list(), months)
    found = {
        name: tuple(
            sentence
            for sentence in sentences
            if sentence.startswith((f"{name} of ", "rows or columns "))
        )
        for table in tables
        if table
        for sentences in [find_leaks_of_months(plant(table), inputs, moments)]
        for name in table
    }
    return [
        Judgement(name, str(column.__doc__).strip(), found[name])
        for name, column in entries.items()
    ]


def plant(entries: Mapping[str, Column]) -> SessionsFunction:
    """Return a function like `compute_features` with a column for each entry."""

    def compute(bars, actions, series, sessions) -> pl.DataFrame:
        rows = bars.sort("symbol", "session")
        inputs = FeatureInputs(rows, actions, series)
        table = rows.select("symbol", "session", "event_time", "knowledge_time")
        table = table.filter(pl.col("session").is_in(list(sessions)))
        for name, column in entries.items():
            planted = column(inputs).rename({"planted": name})
            table = table.join(planted, on=["symbol", "session"])
        return table

    return compute


def render_table(judged: list[Judgement]) -> str:
    """Return the catalogue as the Markdown table of docs/leaks.md."""
    answers = {True: "yes", False: "no"}
    lines = [
        "| Leak | How it leaks | Caught by truncation | By scramble |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{one.name}` | {one.how} | {answers[one.by_truncation]} |"
            f" {answers[one.by_scramble]} |"
            for one in judged
        ),
    ]
    return "\n".join(lines)


def _make_series() -> pl.DataFrame:
    rng = np.random.default_rng(11)
    rows = []
    for month in sorted({session.replace(day=1) for session in SESSIONS}):
        # Published 13 days after the month that it is about, revised 30 days later.
        end = month + timedelta(days=27)
        rows += [
            ("macro", "*", end, end + timedelta(days=13 + 30 * revision), revision, rng.normal())
            for revision in (0, 1)
        ]
        rows += [
            ("earnings", symbol, end, end + timedelta(days=20), 0, rng.normal())
            for number, symbol in enumerate(SYMBOLS)
            if month.month % 3 == number % 3
        ]
    for symbol in SYMBOLS:
        for session in SESSIONS:
            # Every second headline comes after the close, for the next session.
            late = int(rng.integers(2))
            rows.append(("news", symbol, session, session + timedelta(days=late), 0, rng.normal()))
    frame = pl.DataFrame(
        [
            (name, symbol, _first_session(known), close_time(about), close_time(known), 0, *rest)
            for name, symbol, about, known, *rest in rows
        ],
        schema=["series", "symbol", "session", "event_time", "knowledge_time", "zero",
                "revision", "value"],
        orient="row",
    )  # fmt: skip
    frame = frame.with_columns(pl.col("knowledge_time").alias("ingest_time")).drop("zero")
    times = [pl.col(n).cast(pl.Datetime("us", "UTC")) for n in frame.columns if "_time" in n]
    return conform("series", frame.with_columns(*times, pl.col("revision").cast(pl.Int32)))


def _first_session(day: date) -> date:
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return day
