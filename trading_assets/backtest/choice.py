"""What was chosen from: every series of returns that somebody could have preferred.

Candidates are a strategy's own ensembles and seeds, and every counted trial of its data set that
was traded on all of the report's sessions. Choosing a lucky seed is choosing, so seeds are among
them. A series that is there already is not another choice.

The probability of overfitting ranks them among the naive baselines, which could have been held
instead. Of candidates alone it asks whether one is better than the others: seeds that are equally
good are overfit by one half, whatever they earn. An ensemble and three seeds (correlation 0.9, five
years, drawn 200 times) were at most 0.3 in 20 % at a Sharpe ratio of 0 and in 17 % at 2; among ten
baselines of ratios from 0 to 0.6 in 41 % and in 94 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.metrics import Series
from trading_assets.backtest.overfitting import BLOCKS, Overfitting, measure_overfitting
from trading_assets.backtest.superiority import LEAST_BARS, Superiority, judge_superiority
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.backtest.trials import Days, TrialSeries


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """The series that were chosen from, over the sessions that the report judges.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Sessions that every ensemble and the benchmark have.
    candidates, baselines : mapping of str to float64 (T,)
        Net returns of each series by name, no two the same.
    benchmark : str
        Strongest naive baseline.
    benchmark_returns : float64 (T,)
        Its net returns.
    left_out : tuple of str
        Own portfolios that do not have all of these sessions.
    covering : int
        Counted trials that have all of them.
    """

    sessions: Days
    candidates: Mapping[str, Series]
    baselines: Mapping[str, Series]
    benchmark: str
    benchmark_returns: Series
    left_out: tuple[str, ...]
    covering: int


@dataclass(frozen=True, eq=False, slots=True)
class ChoiceTests:
    """What choosing was worth; None with a reason where too little is known to tell.

    Attributes
    ----------
    overfitting : Overfitting or None
        Of choosing the best of candidates and baselines.
    overfitting_gap : str
        Why there is none; empty otherwise.
    superiority : Superiority or None
        Of the candidates over the benchmark.
    superiority_gap : str
        Why there is none; empty otherwise.
    """

    overfitting: Overfitting | None
    overfitting_gap: str
    superiority: Superiority | None
    superiority_gap: str


def gather_choice(
    records: Mapping[str, TrackRecord],
    agents: Sequence[str],
    benchmark: str,
    trials: Sequence[TrialSeries],
) -> Choice:
    """Collect what was chosen from.

    Parameters
    ----------
    records : mapping of str to TrackRecord
        Of all portfolios.
    agents : sequence of str
        Names of the strategy's agents.
    benchmark : str
        Strongest naive baseline.
    trials : sequence of TrialSeries
        Counted trials of the data set.
    """
    ensembles = [name for name in records if _is_ensemble(name, agents)]
    seeds = [name for name in records if any(name.startswith(f"{a}/seed-") for a in agents)]
    sessions = records[benchmark].sessions
    for name in ensembles:
        sessions = np.intersect1d(sessions, records[name].sessions)
    candidates: dict[str, Series] = {}
    baselines: dict[str, Series] = {}
    known: set[bytes] = set()
    left_out: list[str] = []
    for found, names in ((candidates, (*ensembles, *seeds)), (baselines, BASELINES)):
        for name in names:
            returns = _over(records[name], sessions)
            if returns is None:
                left_out.append(name)
            else:
                _add(found, known, name, returns)
    covering = 0
    for trial in trials:
        returns = trial.over(sessions)
        if returns is not None:
            covering += 1
            _add(candidates, known, trial.label, returns)
    held = _over(records[benchmark], sessions)
    return Choice(
        sessions,
        candidates,
        baselines,
        benchmark,
        np.empty(0) if held is None else held,
        tuple(left_out),
        covering,
    )


def judge_choice(choice: Choice, seed: int) -> ChoiceTests:
    """Return what choosing among the series was worth.

    Parameters
    ----------
    choice : Choice
        What was chosen from.
    seed : int
        Of the resampling.
    """
    bars, count = len(choice.sessions), len(choice.candidates)
    candidates = f"{count} candidate{'' if count == 1 else 's'}"
    overfitting_gap = superiority_gap = ""
    if count < 2:
        overfitting_gap = f"{candidates}; expected at least 2, as nothing is chosen of one"
    elif bars < 2 * BLOCKS:
        overfitting_gap = f"{bars} sessions; expected at least {2 * BLOCKS}"
    if not count or bars < LEAST_BARS:
        superiority_gap = f"{candidates} over {bars} sessions; expected some over {LEAST_BARS}"
    return ChoiceTests(
        overfitting=None
        if overfitting_gap
        else measure_overfitting(
            np.column_stack([*choice.candidates.values(), *choice.baselines.values()])
        ),
        overfitting_gap=overfitting_gap,
        superiority=None
        if superiority_gap
        else judge_superiority(choice.candidates, choice.benchmark_returns, seed=seed),
        superiority_gap=superiority_gap,
    )


def _is_ensemble(name: str, agents: Sequence[str]) -> bool:
    return name == "ensemble" or name in {f"{agent}/ensemble" for agent in agents}


def _over(record: TrackRecord, sessions: Days) -> Series | None:
    return record.series.over(sessions)


def _add(found: dict[str, Series], known: set[bytes], name: str, returns: Series) -> None:
    content = returns.tobytes()
    if content in known:
        return
    known.add(content)
    unique, place = name, 1
    while unique in found:
        place += 1
        unique = f"{name} ({place})"
    found[unique] = returns
