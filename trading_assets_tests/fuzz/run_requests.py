"""What a run of Dagster is asked for: partition keys and sizes, those that exist or one sentence."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from dagster._core.definitions.partitions.context import PartitionLoadingContext
from dagster._core.definitions.temporal_context import TemporalContext
from hypothesis import strategies as st

from trading_assets.agent_specs import PpoSpec
from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis, Periods
from trading_assets.pipeline.forecast import ForecastSizes
from trading_assets.pipeline.partitions import partitions_of
from trading_assets.pipeline.policy import AgentSizes
from trading_assets.strategy import FoldsSpec, Strategy
from trading_assets_tests.end_to_end.projects import TINY
from trading_assets_tests.fuzz.bar_referee import new_york
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import HOSTILE_INTEGERS, mixed, texts

_FIRST, _LAST = date(2006, 1, 3), date(2008, 12, 31)
_AXES = (Axis.MONTH, Axis.FOLD, Axis.SESSION)
_LARGEST = 2**53


class Given(NamedTuple):
    """An axis and a key, or sizes of a launch."""

    axis: Axis | None
    key: str
    sizes: tuple[int | None, int | None, int | None]


@contextmanager
def _open(_: Path) -> Generator[Check]:
    market = MarketDataSpec.model_validate(
        {"source": {"kind": "sample"}, "universe": ["A"], "start": _FIRST, "end": _LAST}
    )
    folds = FoldsSpec(
        first=date(2008, 1, 1), period="quarter", train_months=12, validation_months=3
    )
    partitions = {axis: partitions_of(Periods(market, folds), axis) for axis in _AXES}
    calendar = new_york("2006-01-01", "2008-12-31")
    keys = {
        Axis.MONTH: {
            f"{year}-{month:02}-01" for year in (2006, 2007, 2008) for month in range(1, 13)
        },
        Axis.FOLD: {f"2008-{month:02}-01" for month in (1, 4, 7, 10)},
        Axis.SESSION: {str(day.date()) for day in calendar.sessions if day.year == 2008},
    }
    strategy = Strategy.model_validate(TINY)
    moment = TemporalContext(effective_dt=datetime(2026, 1, 5, tzinfo=UTC), last_event_id=None)
    context = PartitionLoadingContext(temporal_context=moment, dynamic_partitions_store=None)

    def check(given: Given, counts: Counts) -> None:
        if given.axis is None:
            counts.add(accepted=_sizes(given.sizes, strategy))
            return
        known = partitions[given.axis]
        assert known is not None
        refused = refusal_of(
            lambda: known.validate_partition_key(given.key, context), shows="expected"
        )
        expected = given.key in keys[given.axis]
        counts.add(accepted=expected)
        assert (refused is None) == expected, f"{given} {refused}"

    yield check


def _sizes(sizes: tuple[int | None, int | None, int | None], strategy: Strategy) -> bool:
    steps, seeds, epochs = sizes
    expected = (
        (steps is None or 1_000 <= steps <= _LARGEST)
        and (seeds is None or 1 <= seeds <= 32)
        and (epochs is None or 1 <= epochs <= _LARGEST)
    )
    found: list[PpoSpec | Strategy] = []

    def apply() -> None:
        found.append(AgentSizes(total_steps=steps, seeds=seeds).over(PpoSpec()))
        found.append(ForecastSizes(epochs=epochs).over(strategy))

    assert (refusal_of(apply) is None) == expected, sizes
    if expected:
        agent, varied = found
        assert isinstance(agent, PpoSpec)
        assert isinstance(varied, Strategy)
        assert agent.total_steps == (PpoSpec().total_steps if steps is None else steps)
        assert agent.seeds == (PpoSpec().seeds if seeds is None else seeds)
        assert varied.forecast.epochs == (1 if epochs is None else epochs)
    return expected


_days = st.dates(date(2005, 11, 1), date(2009, 2, 1)).map(str)
_keys = st.one_of(
    _days,
    st.dates(_FIRST, _LAST).map(lambda day: f"{day:%Y-%m}-01"),
    st.dates(date(2008, 1, 1), _LAST).map(str),
    mixed(("2007-01-01", "2008-04-01", "2008-03-31")),
    st.sampled_from(("2007-1-1", "20070101", "2007-01-01 ", "2007-01-01\n", "2007-01-01...2007-03-01", "2007-02-30",
                     "0000-01-01", "9999-12-31", "-2007-01-01", "2007-01-01T00:00:00", "latest", "__default__")),
    texts(),
)  # fmt: skip
_size = st.one_of(
    st.none(), st.integers(1, 40), st.integers(900, 5_000), st.sampled_from(HOSTILE_INTEGERS)
)
_good_size = st.one_of(st.none(), st.integers(1, 32))
_steps = st.one_of(st.none(), st.integers(1_000, 10**6))
_given = st.one_of(
    st.builds(Given, st.none(), st.just(""), st.tuples(_steps, _good_size, _good_size)),
    st.builds(Given, st.sampled_from(_AXES), _keys, st.just((None, None, None))),
    st.builds(Given, st.none(), st.just(""), st.tuples(_size, _size, _size)),
)

TARGET = Target(
    "run_requests",
    _given,
    _open,
    quick=80,
    full=2_500,
    pinned=(
        Given(Axis.SESSION, "9999-12-30", (None, None, None)),
        Given(None, "", (0, 0, 0)),
        Given(None, "", (1_000, 33, 1)),
    ),
)
