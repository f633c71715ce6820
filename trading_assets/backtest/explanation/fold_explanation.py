"""What is kept of a fold's explanation: tables, and how far they can be believed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from trading_assets.strategy import Strategy

FACTS_FILE = "explanation.json"
TABLE_NAMES = (
    "action_attributions",
    "importances",
    "reasons",
    "forecast_attributions",
    "market_states",
    "symbol_returns",
    "member_gains",
)
FORECASTER = "forecaster"
BASELINE, CONFIDENCE, LIMITS = STEPS = ("baseline", "confidence", "limits")
"""Steps of a decision that are no input: what a usual day brings, sizing, and risk limits."""


@dataclass(frozen=True, slots=True)
class FoldExplanation:
    """What moved decisions and forecasts of a fold.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        Tables of `TABLE_NAMES`.
    left_out : tuple of str
        What could not be explained, one sentence each.
    incomplete : list of str
        Attributions that do not add up, or are not of what was traded; empty when all is well.
    figures : mapping
        Completeness and form of each explanation, under machine names.
    """

    tables: Mapping[str, pl.DataFrame]
    left_out: tuple[str, ...] = ()
    incomplete: list[str] = field(default_factory=list[str])
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_card(self) -> dict[str, bytes]:
        """Return `explanation.json`: figures, and what was left out."""
        card = {"figures": dict(self.figures), "left_out": list(self.left_out)}
        text = json.dumps(card, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return {FACTS_FILE: text.encode()}

    @classmethod
    def from_card(cls, tables: Mapping[str, pl.DataFrame], card: bytes) -> "FoldExplanation":
        """Return the explanation of stored tables and of what `to_card` wrote."""
        values = json.loads(card)
        return cls(tables, tuple(values["left_out"]), [], values["figures"])


def deployed_portfolio(strategy: Strategy) -> str:
    """Return the portfolio that a bundle of all agents trades."""
    agents = sorted(strategy.policy.agents)
    return "ensemble" if len(agents) > 1 else f"{agents[0]}/ensemble"
