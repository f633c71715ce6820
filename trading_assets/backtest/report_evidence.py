"""What the report says of its own evidence: gates, trials counted, choosing, seeds."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict

from trading_assets.backtest.evidence import Evidence
from trading_assets.backtest.evidence_tables import (
    choice_table,
    gates_table,
    seeds_table,
    trials_table,
)
from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.logit_chart import draw_logits
from trading_assets.backtest.overfitting import BLOCKS
from trading_assets.backtest.page_parts import Drawing, Finding, Section
from trading_assets.backtest.promotion_gates import Gate, failed_gates, unjudged_gates
from trading_assets.backtest.trial_clusters import LEAST_SHARED_SESSIONS
from trading_assets.backtest.trials import TrialSeries


def evidence_section(evidence: Evidence, judgement: Judgement) -> Section:
    """Return the section of the page.

    Parameters
    ----------
    evidence : Evidence
        What the verdict rests on.
    judgement : Judgement
        Samples and confidence.
    """
    marked = [
        agent
        for agent, own in evidence.by_agent.items()
        if not all(figures.is_complete for figures in own.required.values())
    ]
    overfitting = evidence.tests.overfitting
    return Section(
        "What the evidence is worth",
        findings=[_finding(agent, gates) for agent, gates in evidence.gates.items()],
        notes=[*_gaps(evidence), *_notes(evidence, judgement)],
        tables=[
            gates_table(evidence.gates, marked),
            trials_table(evidence),
            choice_table(evidence.choice, evidence.tests),
            seeds_table(evidence.by_agent),
        ],
        drawings=[]
        if overfitting is None
        else [
            Drawing(
                draw_logits(overfitting),
                f"Each half of {BLOCKS} blocks of sessions chooses its best series. Red: on the"
                " other half it is no better than the median of all.",
            )
        ],
    )


def evidence_figures(evidence: Evidence) -> dict[str, object]:
    """Return every number under machine names, JSON values but for nan."""
    choice, tests = evidence.choice, evidence.tests
    return {
        "trials": {
            "counted": len(evidence.trials),
            "with_returns": sum(len(trial.sessions) > 0 for trial in evidence.trials),
            "over_all_sessions": choice.covering,
            "clusters": evidence.clusters.count,
            "excess_variance": evidence.clusters.excess_variance,
            "cluster_sharpes_of_one_session": evidence.clusters.sharpes.tolist(),
            "advantage_clusters": evidence.advantage_clusters.count,
            "advantage_excess_variance": evidence.advantage_clusters.excess_variance,
            "sha256": digest_trials(evidence.trials),
        },
        "choice": {
            "candidates": sorted(choice.candidates),
            "baselines": sorted(choice.baselines),
            "sessions": len(choice.sessions),
            "benchmark": choice.benchmark,
            "left_out": list(choice.left_out),
        },
        "overfitting": None
        if tests.overfitting is None
        else {
            "probability": tests.overfitting.probability,
            "probability_of_loss": tests.overfitting.probability_of_loss,
            "degradation": tests.overfitting.degradation,
            "halvings": len(tests.overfitting.logits),
        },
        "superiority": None if tests.superiority is None else asdict(tests.superiority),
        "deflation": {agent: asdict(own.deflation) for agent, own in evidence.by_agent.items()},
        "seeds": {agent: _seed_figures(evidence, agent) for agent in evidence.by_agent},
        "gates": {
            agent: [asdict(gate) for gate in gates] for agent, gates in evidence.gates.items()
        },
    }


def evidence_headline(evidence: Evidence) -> dict[str, float]:
    """Return the few defined figures of the whole and of each agent, `<agent>_<figure>`."""
    tests = evidence.tests
    values: dict[str, float] = {
        "trial_clusters": float(evidence.clusters.count),
        "advantage_clusters": float(evidence.advantage_clusters.count),
    }
    if tests.overfitting is not None:
        values["overfitting_probability"] = tests.overfitting.probability
    if tests.superiority is not None:
        values["superiority_p_value"] = tests.superiority.p_value
    for agent, gates in evidence.gates.items():
        values[f"{agent}_gates_failed"] = float(len(failed_gates(gates)))
        advantage = evidence.by_agent[agent].advantage
        values[f"{agent}_gates_unjudged"] = float(len(unjudged_gates(gates)))
        deflation = evidence.by_agent[agent].deflation
        values[f"{agent}_deflated_advantage"] = deflation.deflated_advantage
        values[f"{agent}_seed_advantage"] = advantage.interquartile_mean
        values[f"{agent}_seed_advantage_low"] = advantage.low
    return {name: value for name, value in values.items() if math.isfinite(value)}


def digest_trials(trials: Sequence[TrialSeries]) -> str:
    """Return the sha256 over labels, sessions and returns of all trials, in their order."""
    hasher = hashlib.sha256()
    for trial in trials:
        days = trial.sessions.astype("datetime64[D]").astype("<i8")
        for part in (trial.label.encode(), days.tobytes(), trial.returns.astype("<f8").tobytes()):
            hasher.update(len(part).to_bytes(8, "little"))
            hasher.update(part)
    return hasher.hexdigest()


def _seed_figures(evidence: Evidence, agent: str) -> dict[str, object]:
    advantage = evidence.by_agent[agent].advantage
    return {
        "benchmark": advantage.benchmark,
        "seeds": advantage.seeds,
        "folds": list(advantage.folds),
        "missing_folds": list(advantage.missing_folds),
        "scores": advantage.scores.tolist(),
        "interquartile_mean": advantage.interquartile_mean,
        "low": advantage.low,
        "high": advantage.high,
        "improvements": {name: asdict(own) for name, own in advantage.improvements.items()},
    }


def _finding(agent: str, gates: Sequence[Gate]) -> Finding:
    failed, unjudged = failed_gates(gates), unjudged_gates(gates)
    open_gates = [*failed, *unjudged]
    evidence = " ".join(f"{gate.title}: {_lower(gate.sentence)}" for gate in open_gates)
    if failed:
        claim = f"{agent} fails {len(failed)} of {len(gates)} gates."
        return Finding("undecided", claim, evidence)
    if unjudged:
        passed = len(gates) - len(unjudged)
        claim = f"{agent} passes {passed} of {len(gates)} gates; {len(unjudged)} not judged."
        return Finding("undecided", claim, evidence)
    return Finding("beats", f"{agent} passes all {len(gates)} gates.", "")


def _lower(sentence: str) -> str:
    return f"{sentence[0].lower()}{sentence[1:]}"


def _gaps(evidence: Evidence) -> list[str]:
    """Return what is missing, first of all notes."""
    tests, choice = evidence.tests, evidence.choice
    found: list[str] = []
    if tests.overfitting_gap:
        found.append(f"Not computed: probability of overfitting, of {tests.overfitting_gap}.")
    if tests.superiority_gap:
        found.append(f"Not computed: tests over many strategies, of {tests.superiority_gap}.")
    if choice.left_out:
        names = ", ".join(choice.left_out)
        found.append(f"Left out of choosing, as they lack sessions: {names}.")
    for agent, own in evidence.by_agent.items():
        if own.advantage.missing_folds:
            folds = ", ".join(own.advantage.missing_folds)
            found.append(f"Seeds of {agent} are compared without folds {folds}, which some lack.")
    return found


def _notes(evidence: Evidence, judgement: Judgement) -> list[str]:
    trials, clusters = evidence.trials, evidence.clusters
    silent = sum(not len(trial.sessions) for trial in trials)
    return [
        f"Trials: {_count(len(trials), 'configuration')} counted where they were made, in"
        f" {_count(clusters.count, 'cluster')} of alike ones (average linkage of returns, cut at"
        f" correlation 0.5); {silent} without returns, each a cluster of its own, as are those that"
        f" share fewer than {LEAST_SHARED_SESSIONS} sessions. The deflated Sharpe ratio counts"
        " clusters.",
        "Advantages: books that hold one market are one cluster, of which nothing is deducted. So"
        f" returns at the volatility of {evidence.choice.benchmark}, less its own, are clustered"
        f" too, {_count(evidence.advantage_clusters.count, 'cluster')}, and the deflated advantage"
        " counts these; trials without a session in common with it are each one of their own.",
        f"Candidates: this report's ensembles and seeds, and the {evidence.choice.covering} counted"
        " configurations that were traded on all of its sessions. Books that are equal to the bit"
        " are one.",
        f"Overfitting: {BLOCKS} blocks of sessions, every half against the other (CSCV), candidates"
        " among naive baselines: of candidates alone, equally good ones are overfit by one half."
        " SPA and StepM: candidates, mean net return a session, stationary bootstrap.",
        "Seeds: annual Sharpe ratio of a seed in a fold less that of the strongest baseline there;"
        " their middle is the interquartile mean, small print"
        f" {100 * judgement.confidence:g} % intervals that draw seeds fold by fold. An agent"
        " improves on a baseline where the probability is above one half.",
    ]


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
