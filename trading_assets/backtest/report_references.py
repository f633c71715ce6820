"""What the report says of the references: whether something simpler to train did better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trading_assets.backtest.cells import COMPARISON_HEADER, comparison_row, mark_of
from trading_assets.backtest.figures import (
    Bootstrap,
    Comparison,
    Judgement,
    PortfolioFigures,
    compare,
)
from trading_assets.backtest.page_parts import Finding, Section, Table
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.policy.reference_names import REFERENCES

_NOTES = (
    "References learn without trial and error, see the same inputs, pay the same costs and keep the"
    " same limits. They gate nothing; any of them can be declared as an agent.",
    "direct: a network trained by gradient ascent through the market. garleanu_pedersen: optimal"
    " trading on estimated parameters. logistic_rule: a logistic forecaster and a rule that weighs"
    " its expectation against risk and cost. All pursue the mean-variance utility with the declared"
    " risk aversion.",
)


@dataclass(frozen=True, slots=True)
class ReferenceComparisons:
    """Each agent's ensemble against each reference that was traded, by agent and reference."""

    by_agent: Mapping[str, Mapping[str, Comparison]]

    def section(self, figures: Mapping[str, PortfolioFigures], judgement: Judgement) -> Section:
        """Return the section of the page."""
        return Section(
            "Beside references",
            findings=[reference_finding(agent, found) for agent, found in self.by_agent.items()],
            notes=_NOTES,
            tables=[
                Table(
                    caption=(
                        "Paired differences of annual Sharpe ratios; small print:"
                        f" {100 * judgement.confidence:g} % intervals"
                    ),
                    header=COMPARISON_HEADER,
                    rows=[
                        comparison_row(
                            f"{agent}/ensemble",
                            name,
                            own,
                            mark_of(figures[f"{agent}/ensemble"], figures[name]),
                        )
                        for agent, found in self.by_agent.items()
                        for name, own in found.items()
                    ],
                )
            ],
        )


def compare_references(
    records: Mapping[str, TrackRecord],
    agents: Sequence[str],
    bootstrap: Bootstrap,
    judgement: Judgement,
) -> ReferenceComparisons:
    """Hold each agent's ensemble against each reference over the sessions that both have.

    Parameters
    ----------
    records : mapping of str to TrackRecord
        Of all portfolios.
    agents : sequence of str
        Names of the agents.
    bootstrap : Bootstrap
        Source of intervals.
    judgement : Judgement
        Confidence.
    """
    return ReferenceComparisons(
        {
            agent: {
                name: compare(records[f"{agent}/ensemble"], records[name], bootstrap, judgement)
                for name in REFERENCES
            }
            for agent in agents
        }
    )


def reference_finding(agent: str, found: Mapping[str, Comparison]) -> Finding:
    """Return what the intervals of all references say of an agent.

    Parameters
    ----------
    agent : str
        Name of the agent.
    found : mapping of str to Comparison
        The agent less each reference.

    Returns
    -------
    Finding
        `behind` where an interval lies below 0, whatever the others show, `beats` where all lie
        above 0 and none is missing, `unknown` where none is known, `undecided` otherwise.
    """
    known = {name: own for name, own in found.items() if not math.isnan(own.low + own.high)}
    ordered = sorted(known, key=lambda name: known[name].difference)
    better = [name for name in ordered if known[name].high < 0]
    worse = [name for name in ordered if known[name].low > 0]
    alike = [name for name in ordered if name not in {*better, *worse}]
    unknown = [name for name in found if name not in known]
    if not known:
        return Finding("unknown", f"{agent} cannot be held against a reference.")
    evidence = " ".join(_evidence(name, known[name]) for name in ordered)
    if len(worse) == len(found):
        return Finding("beats", f"{agent} does better than every reference.", evidence)
    sentences: list[str] = []
    if better:
        verb, chosen = ("does", "it") if len(better) == 1 else ("do", "one of them")
        sentences.append(f"{_listed(better)} {verb} better than {agent}: declare {chosen} instead.")
    if worse:
        sentences.append(f"{agent} does better than {_listed(worse)}.")
    if alike:
        sentences.append(
            f"{agent} differs from {_listed(alike)} by less than can be told from chance."
        )
    if unknown:
        sentences.append(f"{agent} cannot be held against {_listed(unknown)}.")
    return Finding("behind" if better else "undecided", " ".join(sentences), evidence)


def _evidence(name: str, own: Comparison) -> str:
    return (
        f"Against {name}: annual Sharpe {own.sharpe_annual:.2f} to"
        f" {own.benchmark_sharpe_annual:.2f}, difference {own.difference:.2f} ({own.low:.2f} to"
        f" {own.high:.2f}, p {own.p_value:.3f})."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
