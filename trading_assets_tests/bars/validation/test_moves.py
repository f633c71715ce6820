"""Large moves and split-like jumps, on numbers that can be checked by hand."""

import math
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from trading_assets.bars.validation.plausibility import SPLIT_LIKE, find_implausible
from trading_assets.bars.validation.session_moves import large_moves
from trading_assets_tests.bars.validation.example_clean_bars import (
    NO_ACTIONS,
    clean_bars,
    clean_spec,
)

DAY = date(2019, 1, 7)
OPEN = datetime(2019, 1, 7, 14, 30, tzinfo=UTC)


def bars(sessions: list[list[float]]) -> pl.DataFrame:
    """Return bars from the closes of each session; a bar opens at its close."""
    rows = [
        ("A", DAY + timedelta(days=day), OPEN + timedelta(days=day, hours=hour), close, close)
        for day, closes in enumerate(sessions)
        for hour, close in enumerate(closes, 1)
    ]
    return pl.DataFrame(rows, ["symbol", "session", "event_time", "open", "close"], orient="row")


def test_sigma_of_a_first_bar_comes_from_the_first_bars_before_it() -> None:
    moves = [0.01 * size for size in range(1, 12)]
    levels = [100.0]
    for move in [*moves, 3.0, 0.001]:
        levels.append(levels[-1] * math.exp(move))
    found = large_moves(bars([[level] for level in levels]), NO_ACTIONS, "1d", 10.0)
    # The median of 1 to 11 % is 6 %; the jump itself is not among them.
    assert found["move"].to_list() == [pytest.approx(3.0)]
    assert found["sigma"].to_list() == [pytest.approx(1.4826 * 0.06)]


def test_returns_of_zero_do_not_make_sigma_small() -> None:
    levels = [100.0, *[100.0] * 30, *[101.0, 100.0] * 6, 113.0]
    found = large_moves(bars([[level] for level in levels]), NO_ACTIONS, "1d", 8.0)
    assert found["sigma"].to_list() == [pytest.approx(1.4826 * math.log(1.01))]


def test_sigma_within_a_session_comes_from_medians_of_the_sessions_before() -> None:
    # A night moves much more than any bar within the session.
    days = [
        [level := 100.0 + 50 * (day % 2), level * math.exp(0.001 * (day + 1))] for day in range(9)
    ]
    days.append([100.0, 100.0 * math.exp(0.2)])
    found = large_moves(bars(days), NO_ACTIONS, "1h", 10.0).filter(pl.col("move").abs() < 0.21)
    assert found["move"].to_list() == [pytest.approx(0.2)]
    assert found["sigma"].to_list() == [pytest.approx(1.4826 * 0.005)]


@pytest.mark.parametrize(
    ("opened", "close", "near"),
    [
        (50.5, 49.5, "ratio 0.495 near 0.5"),
        (201.0, 202.0, "ratio 2.02 near 2.0"),
        (66.0, 67.0, "ratio 0.67 near 0.6667"),
        (1000.0, 1010.0, "ratio 10.1 near 10.0"),
        # A crash opens somewhere and closes elsewhere; other ratios are no split's.
        (60.0, 49.5, None),
        (58.0, 58.0, None),
    ],
)
def test_a_jump_by_a_splits_ratio_is_reported_however_wild_the_symbol(
    opened: float, close: float, near: str | None
) -> None:
    spec = clean_spec(bar_length="1d", validation={"max_return_sigmas": 1e6})
    rows = (
        clean_bars(spec)
        .filter(symbol="A")
        .with_columns(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close"))
    )
    is_last = pl.col("event_time") == pl.col("event_time").max()
    jumped = rows.with_columns(
        pl.when(is_last).then(opened).otherwise("open").alias("open"),
        pl.when(is_last).then(close).otherwise("close").alias("close"),
    )
    found = find_implausible(jumped, NO_ACTIONS, spec).filter(rule=SPLIT_LIKE)
    assert [value.partition(", ")[2] for value in found["value"]] == ([near] if near else [])
