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
            findings=[_finding(agent, found) for agent, found in self.by_agent.items()],
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


def _finding(agent: str, found: Mapping[str, Comparison]) -> Finding:
    known = {name: own for name, own in found.items() if not math.isnan(own.difference)}
    if not known:
        return Finding("unknown", f"{agent} cannot be held against a reference.")
    best = max(known, key=lambda name: known[name].benchmark_sharpe_annual)
    own = known[best]
    evidence = (
        f"Annual Sharpe {own.sharpe_annual:.2f} against {own.benchmark_sharpe_annual:.2f},"
        f" difference {own.difference:.2f} ({own.low:.2f} to {own.high:.2f}, p {own.p_value:.3f})."
    )
    if own.high < 0:
        return Finding("behind", f"{best} does better than {agent}: declare it instead.", evidence)
    if own.difference < 0:
        claim = f"{best} did better than {agent}, by less than can be told from chance."
        return Finding("undecided", claim, evidence)
    if own.low > 0:
        return Finding("beats", f"{agent} does better than every reference.", evidence)
    claim = f"{agent} did better than every reference, by less than can be told from chance."
    return Finding("undecided", claim, evidence)
