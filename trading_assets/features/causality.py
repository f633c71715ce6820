"""Does a feature know the future? Proof on real rows: remove or replace what came after.

A function passes for what it does with the tables it is given. What it takes from elsewhere, such
as a constant fitted to all data beforehand or a state kept between calls, does not show here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl

from trading_assets.features.scrambling import FeatureInputs, scramble, truncate
from trading_assets.features.windows import input_window, month_of, shift_month

FeatureFunction = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame], pl.DataFrame]
SessionsFunction = Callable[
    [pl.DataFrame, pl.DataFrame, pl.DataFrame, Sequence[date]], pl.DataFrame
]

# Bounds the work of a range, however long.
MOST_MONTHS = 3
# A leak of half a year ahead still finds bars to read.
FUTURE_MONTHS = 6
REMOVED, REPLACED = "were removed", "were replaced by noise"

_KEY = ["symbol", "session"]


def draw_moments(sessions: Iterable[date], months: Iterable[date]) -> list[date]:
    """Return the sessions after which the future of some months is changed, in order.

    They are the newest month that has a session with a later one, and two other months drawn at
    random, with three sessions each: one whose follower lies in another week or month, and one in
    each half of the others. The draw is seeded by the months, so it is the same in every run.

    Three are enough for what is usual. A leak in every row shows at any moment. A leak inside a
    bar of a week or month, which shows unless the moment is the bar's end, is tried before the
    end by the two others; one that reaches across that end is tried at the end. What leaks in a
    single row, from k sessions ahead, shows in about 3 k of 21 draws of its month only.

    Parameters
    ----------
    sessions : iterable of date
        Sessions that have bars.
    months : iterable of date
        First days of the months that are computed.
    """
    held = sorted(set(sessions))
    followers = dict(pairwise(held))
    by_month: dict[date, list[date]] = {}
    for session in followers:
        by_month.setdefault(month_of(session), []).append(session)
    computed = sorted(set(months))
    usable = [month for month in computed if month in by_month]
    if computed and not usable:
        # The first session of the only month has no future: its predecessors stand for it.
        usable = [month for month in sorted(by_month) if month < computed[0]][-1:]
    if not usable:
        return []
    newest, others = usable[-1], usable[:-1]
    rng = np.random.default_rng([len(usable), usable[0].toordinal(), newest.toordinal()])
    drawn = rng.permutation(len(others))[: MOST_MONTHS - 1]
    chosen = [*(others[place] for place in drawn), newest]
    return sorted(day for month in chosen for day in _draw_in_month(by_month[month], followers))


def find_leaks_of_months(
    compute: SessionsFunction, inputs: FeatureInputs, moments: Sequence[date]
) -> list[str]:
    """Return one sentence for each column, moment and treatment that shows a leak.

    Each moment's month is computed as it is stored, all its sessions from the bars of the months
    before, and the bars of half a year after it are there to be misused.

    Parameters
    ----------
    compute : function (bars, actions, series, sessions) -> DataFrame
        Returns columns symbol, session and features of the asked sessions.
    inputs : FeatureInputs
        Tables validated_bars, corporate_actions and series.
    moments : sequence of date
        What `draw_moments` returned.
    """
    by_month: dict[date, list[date]] = {}
    for moment in moments:
        by_month.setdefault(month_of(moment), []).append(moment)
    leaks: list[str] = []
    for month, own in by_month.items():
        first, last = input_window(month)
        end = input_window(shift_month(month, FUTURE_MONTHS))[1]
        bars = inputs.bars.filter(pl.col("session").is_between(first, end))
        series = inputs.series.filter(pl.col("session").is_between(first, end))

        def compute_month(
            b: pl.DataFrame,
            a: pl.DataFrame,
            s: pl.DataFrame,
            month: date = month,
            last: date = last,
        ) -> pl.DataFrame:
            held = b["session"].filter(b["session"].is_between(month, last))
            return compute(b, a, s, held.unique().sort().to_list())

        leaks.extend(find_leaks(compute_month, bars, inputs.actions, series, own))
    return leaks


def find_leaks(
    compute: FeatureFunction,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    moments: Sequence[date],
    seed: int = 0,
) -> list[str]:
    """Return one sentence for each column that changes when the future does.

    For each moment t the features are computed again from bars, actions and series up to t only
    (truncation), and from tables whose rows after t are others (scramble). Rows up to t have to
    stay the same rows, equal to the last bit in every column, keys and times included.

    Parameters
    ----------
    compute : function (bars, actions, series) -> DataFrame
        Returns columns symbol, session and features.
    bars, actions, series : DataFrame
        Tables validated_bars, corporate_actions and series.
    moments : sequence of date
        Sessions after which the future is changed.
    seed : int
        Seed of the noise.
    """
    inputs = FeatureInputs(bars, actions, series)
    full = compute(bars, actions, series)
    leaks: list[str] = []
    for moment in sorted(set(moments)):
        rng = np.random.default_rng([seed, moment.toordinal()])
        known = _up_to(full, moment)
        futures: Mapping[str, FeatureInputs] = {
            REMOVED: truncate(inputs, moment),
            REPLACED: scramble(inputs, moment, rng),
        }
        for treatment, changed in futures.items():
            again = compute(changed.bars, changed.actions, changed.series)
            leaks.extend(_differences(known, _up_to(again, moment), moment, treatment))
    return leaks


def _draw_in_month(candidates: list[date], followers: Mapping[date, date]) -> list[date]:
    rng = np.random.default_rng(candidates[0].replace(day=1).toordinal())
    ends = [day for day in candidates if _ends_a_week_or_month(day, followers[day])]
    drawn = [ends[rng.integers(len(ends))]] if ends else []
    others = [day for day in candidates if day not in drawn]
    half = (len(others) + 1) // 2
    drawn.extend(part[rng.integers(len(part))] for part in (others[:half], others[half:]) if part)
    return drawn


def _ends_a_week_or_month(day: date, follower: date) -> bool:
    return day.isocalendar()[:2] != follower.isocalendar()[:2] or month_of(day) != month_of(
        follower
    )


def _up_to(features: pl.DataFrame, moment: date) -> pl.DataFrame:
    return features.filter(pl.col("session") <= moment).sort(_KEY)


def _differences(
    known: pl.DataFrame, again: pl.DataFrame, moment: date, treatment: str
) -> list[str]:
    if not known.select(_KEY).equals(again.select(_KEY)) or known.schema != again.schema:
        return [
            f"rows or columns up to {moment} changed when later bars {treatment}: {known.height}"
            f" rows became {again.height}; expected the same rows"
        ]
    sentences: list[str] = []
    for name in known.columns:
        is_changed = _is_changed(known[name], again[name])
        if is_changed.any():
            first = known.filter(is_changed).row(0, named=True)
            sentences.append(
                f"{name} of {first['symbol']} on {first['session']} changed when bars after"
                f" {moment} {treatment} ({int(is_changed.sum())} rows in all); expected the same"
                f" value, computed from bars up to its own close"
            )
    return sentences


def _is_changed(known: pl.Series, again: pl.Series) -> pl.Series:
    is_changed = known.ne_missing(again)
    if known.dtype.is_float():
        # Equality does not tell 0 from -0.
        signs = (np.signbit(column.to_numpy()) for column in (known, again))
        is_changed |= pl.Series(np.not_equal(*signs))
    return is_changed
