"""What both arms of an ablation of forecasts earned in a fold, as it is stored and reported."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from trading_assets.backtest.steady_groups import sum_groups
from trading_assets.errors import DataError
from trading_assets.policy.model_cards import canonical_json, parse_json

WITH, WITHOUT = "with", "without"
ARMS = (WITH, WITHOUT)
CARD_FILE = "card.json"


@dataclass(frozen=True, slots=True)
class FoldAblation:
    """What both arms of one agent earned in one fold.

    Attributes
    ----------
    agent : str
        Name of the agent.
    table : DataFrame
        Table `ablation`.
    steps : mapping of str to mapping of int to int
        Environment steps of each seed's training, by arm.
    """

    agent: str
    table: pl.DataFrame
    steps: Mapping[str, Mapping[int, int]]

    @property
    def means(self) -> dict[str, float]:
        """Mean net return of a session over seeds and sessions, by arm."""
        sums = {"total": pl.col("net_return"), "count": pl.col("net_return").is_not_null()}
        means = sum_groups(self.table, ["arm"], sums).sort("arm")
        return dict(means.select("arm", pl.col("total") / pl.col("count")).iter_rows())

    def to_card(self) -> dict[str, bytes]:
        """Return `card.json`: what told the arms apart, and the steps of their trainings."""
        arms = {
            arm: {"uses_forecasts": arm == WITH, "steps": {str(s): n for s, n in steps.items()}}
            for arm, steps in self.steps.items()
        }
        return {CARD_FILE: canonical_json({"agent": self.agent, "arms": arms})}

    @classmethod
    def from_card(cls, table: pl.DataFrame, card: bytes) -> "FoldAblation":
        """Return the ablation that a table and the card of `to_card` are of.

        Raises
        ------
        DataError
            If the card is damaged.
        """
        values = parse_json(card, CARD_FILE)
        try:
            steps = {
                arm: {int(seed): int(count) for seed, count in own["steps"].items()}
                for arm, own in values["arms"].items()
            }
            return cls(values["agent"], table, steps)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = f"{CARD_FILE} of an ablation lacks {error}; restore the file or train again"
            raise DataError(msg) from error
