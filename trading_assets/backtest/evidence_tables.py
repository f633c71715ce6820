"""The report's tables of evidence: gates, trials, what choosing was worth, seeds."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from trading_assets.backtest.cells import DASH, MARK, number, with_interval
from trading_assets.backtest.choice import Choice, ChoiceTests
from trading_assets.backtest.evidence import Evidence
from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.backtest.page_parts import Table
from trading_assets.backtest.promotion_gates import Gate, GateEvidence
from trading_assets.backtest.superiority import Superiority
from trading_assets.backtest.trials import TrialSeries

_ANSWERS = {True: "passed", False: "not passed", None: "not judged"}


def gates_table(gates: Mapping[str, Sequence[Gate]], marked: Sequence[str]) -> Table:
    """Return every gate of each agent; agents whose record is incomplete are marked."""
    return Table(
        caption="Gates: all have to be judged and passed for an agent to beat a baseline",
        header=["Agent and gate", "Figure", "Threshold", "Verdict", "In words"],
        rows=[
            [
                f"{escape(agent)}: {escape(gate.title)}{_mark(agent in marked)}",
                number(gate.figure, 3),
                number(gate.threshold, 3),
                _ANSWERS[gate.passed],
                f'<span class="sentence">{escape(gate.sentence)}</span>',
            ]
            for agent, own in gates.items()
            for gate in own
        ],
    )


def trials_table(evidence: Evidence) -> Table:
    """Return how many configurations were counted, by strategy and agent, and their ratios."""
    by_label: dict[str, list[int]] = {}
    for place, trial in enumerate(evidence.trials):
        by_label.setdefault(trial.label, []).append(place)
    rows = [_trials_row(label, places, evidence) for label, places in sorted(by_label.items())]
    everything = list(range(len(evidence.trials)))
    return Table(
        caption="Configurations counted on this data set, by strategy and agent",
        header=[
            "Strategy and agent",
            "Counted",
            "With returns",
            "Clusters",
            "Sessions",
            "Sharpe, least",
            "Median",
            "Largest",
        ],
        rows=[*rows, _trials_row("All", everything, evidence)],
    )


def choice_table(choice: Choice, tests: ChoiceTests) -> Table:
    """Return what choosing the best of all series was worth."""
    overfitting, superiority = tests.overfitting, tests.superiority
    rows = [
        ["Candidates chosen from", number(len(choice.candidates), 0)],
        ["Naive baselines beside them", number(len(choice.baselines), 0)],
        ["Sessions", number(len(choice.sessions), 0)],
    ]
    if overfitting is not None:
        rows += [
            ["Halvings of the sessions", number(len(overfitting.logits), 0)],
            ["Probability of overfitting", number(overfitting.probability)],
            [
                "Probability that the best of one half loses",
                number(overfitting.probability_of_loss),
            ],
            ["Slope of later by earlier Sharpe ratio", number(overfitting.degradation)],
        ]
    if superiority is not None:
        better = ", ".join(superiority.better)
        rows += [
            [
                f"p that none is better than {escape(choice.benchmark)} (SPA)",
                _p_values(superiority),
            ],
            ["Told apart from it at 5 % for all together (StepM)", escape(better) or "none"],
        ]
    return Table(
        caption="What choosing was worth; small print: Hansen's liberal and conservative p",
        header=["Figure", ""],
        rows=rows,
    )


def seeds_table(by_agent: Mapping[str, GateEvidence]) -> Table:
    """Return how far each agent's seeds are above each naive baseline."""
    rows: list[list[str]] = []
    for agent, evidence in by_agent.items():
        advantage = evidence.advantage
        middle = with_interval(
            number(advantage.interquartile_mean), number(advantage.low), number(advantage.high)
        )
        for name, found in advantage.improvements.items():
            is_benchmark = name == advantage.benchmark
            expected = len(advantage.folds) + len(advantage.missing_folds)
            chance = with_interval(number(found.probability), number(found.low), number(found.high))
            rows.append(
                [
                    f"{escape(agent)} over {escape(name)}{_mark(len(found.folds) < expected)}",
                    chance,
                    middle if is_benchmark else DASH,
                    number(advantage.seeds, 0),
                    number(len(found.folds), 0),
                ]
            )
    return Table(
        caption=(
            "Seeds, fold by fold: probability that one beats the baseline, and the middle of their"
            " annual Sharpe ratios less that of the strongest baseline"
        ),
        header=["Pair", "Probability of improvement", "Middle of advantages", "Seeds", "Folds"],
        rows=rows,
    )


def ratio_of(trial: TrialSeries) -> float:
    """Return a trial's annual Sharpe ratio; that of one that never traded is 0, as cash's is."""
    return sharpe_annual(trial.returns) if trial.returns.any() else 0.0


def _trials_row(label: str, places: Sequence[int], evidence: Evidence) -> list[str]:
    known = [evidence.trials[place] for place in places if len(evidence.trials[place].sessions)]
    ratios = np.array([ratio_of(trial) for trial in known])
    shown = [f(ratios) for f in (np.min, np.median, np.max)] if len(known) else [np.nan] * 3
    sessions = {len(trial.sessions) for trial in known}
    span = (
        " to ".join(number(n, 0) for n in sorted({min(sessions), max(sessions)})) if known else ""
    )
    return [
        escape(label),
        number(len(places), 0),
        number(len(known), 0),
        number(len({int(evidence.clusters.labels[place]) for place in places}), 0),
        span or DASH,
        *(number(float(value)) for value in shown),
    ]


def _p_values(found: Superiority) -> str:
    return with_interval(
        number(found.p_value, 3), number(found.p_value_lower, 3), number(found.p_value_upper, 3)
    )


def _mark(is_marked: bool) -> str:
    return f'<span class="mark">{MARK}</span>' if is_marked else ""
