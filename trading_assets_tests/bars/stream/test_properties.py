"""The assembler against any order, number and delay of messages, by fixed seeds."""

from datetime import date, datetime, timedelta
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.bars.stream.assembler import BarAssembler
from trading_assets.bars.stream.messages import BarMessage
from trading_assets.bars.stream.rows import FinalBar, to_raw_bars
from trading_assets.bars.stream.times import BarTimes
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.bars.stream.stream_truth import MINUTE, TrueBar, at, history, make_truth

MINUTES = BarTimes(CALENDAR, [date(2024, 3, 4)], "1m")
START = at(10, 0)
PRICES = ["symbol", "event_time", "open", "high", "low", "close", "volume"]
Arrivals = list[tuple[datetime, BarMessage]]


def make_assembler(window_s: float) -> BarAssembler:
    return BarAssembler(["AAPL", "IBM"], MINUTES, window_s)


def arrivals(truth: list[TrueBar], rng: Random) -> Arrivals:
    """Return every version at least once, doubled, delayed and out of order."""
    sent: Arrivals = []
    for true in truth:
        for version in true.versions:
            open_, high, low, close, volume = version.prices
            message = BarMessage(
                "b" if version.kind == "b" else "u",
                true.symbol, true.start, open_, high, low, close, volume, version.trades,
            )  # fmt: skip
            for _ in range(rng.choice([1, 1, 2, 3])):
                delay = timedelta(seconds=rng.choice([0, 0, rng.uniform(0, 300)]))
                sent.append((true.known(version) + delay, message))
    rng.shuffle(sent)
    return sorted(sent, key=lambda arrival: arrival[0])


@settings(max_examples=48, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32), window_s=st.sampled_from([0, 20, 60, 400]))
def test_the_final_table_is_the_truth_for_any_order_number_and_delay(
    seed: int, window_s: float
) -> None:
    rng = Random(seed)
    truth = make_truth(rng, ["AAPL", "IBM"], START, 3)
    assembler = make_assembler(window_s=window_s)
    stored = merge_revisions(None, to_raw_bars([], "iex", "1m"))
    expected_rows = 0
    came: dict[tuple[str, datetime, float], datetime] = {}
    for moment, message in arrivals(truth, rng):
        came.setdefault((message.symbol, message.start + MINUTE, message.volume), moment)
        rows = assembler.feed([message], moment)
        if rows:
            expected_rows += len(rows)
            stored = merge_revisions(stored, to_raw_bars(rows, "iex", "1m"))
    rows = assembler.advance(at(11, 0))
    stored = merge_revisions(stored, to_raw_bars(rows, "iex", "1m"))

    later = history(truth, at(12, 0), timedelta(minutes=15))
    final = as_known_at(stored, at(12, 0))
    assert final.select(PRICES).equals(later.select(PRICES))
    assert merge_revisions(stored, later).equals(stored)
    assert len(stored) == expected_rows + len(rows)
    for row in stored.iter_rows(named=True):
        arrived = came[row["symbol"], row["event_time"], row["volume"]]
        assert row["knowledge_time"] >= max(
            arrived, row["event_time"] + timedelta(seconds=window_s)
        )


def version(extra: int, start: datetime, symbol: str) -> BarMessage:
    kind = "u" if extra else "b"
    return BarMessage(kind, symbol, start, 10.0, 20.0, 5.0, 11 + extra, 100 + extra, 10 + extra)


class Streaming(RuleBasedStateMachine):
    """Any sequence of messages and waits, against the newest version of each bar so far."""

    @initialize(window_s=st.sampled_from([0, 30, 60]))
    def begin(self, window_s: int) -> None:
        self.window = timedelta(seconds=window_s)
        self.assembler = make_assembler(window_s=window_s)
        self.now = START
        self.newest: dict[tuple[str, datetime], BarMessage] = {}
        self.rows: dict[tuple[str, datetime], list[FinalBar]] = {}

    def keep(self, rows: list[FinalBar]) -> None:
        assert len({row[:3] for row in rows}) == len(rows)
        for row in rows:
            assert row.knowledge_time == self.now >= row.event_time + self.window
            self.rows.setdefault((row.symbol, row.event_time), []).append(row)

    @rule(
        symbol=st.sampled_from(["AAPL", "IBM"]),
        minute=st.integers(0, 3),
        extra=st.integers(0, 4),
        wait_s=st.sampled_from([0.001, 1, 20]),
    )
    def hear(self, symbol: str, minute: int, extra: int, wait_s: float) -> None:
        self.now += timedelta(seconds=wait_s)
        start = START + minute * MINUTE
        message = version(extra, start, symbol)
        if self.now >= start:
            key = (symbol, start + MINUTE)
            known = self.newest.get(key)
            if known is None or known.volume < message.volume:
                self.newest[key] = message
        self.keep(self.assembler.feed([message], self.now))

    @rule(wait_s=st.sampled_from([1, 30, 200]))
    def wait(self, wait_s: int) -> None:
        self.now += timedelta(seconds=wait_s)
        self.keep(self.assembler.advance(self.now))

    @invariant()
    def each_final_bar_is_the_newest_version_once(self) -> None:
        for key, message in getattr(self, "newest", {}).items():
            rows = self.rows.get(key, [])
            assert [row.revision for row in rows] == list(range(len(rows)))
            volumes = [row.volume for row in rows]
            assert volumes == sorted(set(volumes))
            if key[1] + self.window <= self.now:
                assert (rows[-1].close, rows[-1].volume) == (message.close, message.volume)
            else:
                assert rows == []


TestStreaming = Streaming.TestCase
TestStreaming.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
