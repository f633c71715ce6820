"""What a decision depends on beside network weights, as a policy's card keeps it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from trading_assets.errors import DataError, shown
from trading_assets.policy_specs import ConfidenceSizing
from trading_assets.rebalance_specs import (
    EVERY_BAR,
    DeclaredRebalance,
    RebalanceSpec,
    is_every_bar,
)
from trading_assets.risk.limits import WeightLimits, declared_limits
from trading_assets.simulation.core import Sizing
from trading_assets.simulation.rewards.declared import declared_trackers
from trading_assets.simulation.trackers.card import TrackerCard, card_of
from trading_assets.strategy import Strategy

# What is shown of a forecast, the edge first; `observation.show_forecasts` says how.
FORECAST_INPUTS = (
    "edge",
    "certainty",
    "expected_return_over_sigma",
    "error_over_sigma",
    "noise_over_volatility",
    "interval_over_sigma",
)


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """Everything beside network weights that a decision depends on.

    Attributes
    ----------
    symbols : tuple of str
        Order of symbols in observations, actions and weights.
    observed_features : tuple of str
        Feature columns shown to the policy.
    uses_forecasts : bool
        Whether forecasts are shown.
    sizing : {"equity", "constant_notional"}
        What a weight is a fraction of.
    limits : WeightLimits
        Risk limits.
    trackers : tuple of TrackerCard
        What is remembered of the account and shown, in order.
    latency_bars : int
        Bars from a decision to its fill; the weights that wait are shown.
    window_bars : int
        Bars of features and forecasts shown, the newest last.
    confidence_sizing : {"none", "posterior_mean", "twice_confidence"}
        How raw weights are reduced where a forecast is uncertain, as `confidence_factors` says. A
        card without it is of a policy that is not.
    rebalance : RebalanceSpec
        Which decided weights are traded; on cards only where it is not every decision.
    """

    symbols: tuple[str, ...]
    observed_features: tuple[str, ...]
    uses_forecasts: bool
    sizing: Sizing
    limits: WeightLimits
    trackers: tuple[TrackerCard, ...] = ()
    latency_bars: int = 1
    window_bars: int = 1
    confidence_sizing: ConfidenceSizing = "none"
    rebalance: RebalanceSpec = EVERY_BAR

    @property
    def n_symbol_inputs(self) -> int:
        """Numbers shown of a symbol and bar: features, forecast inputs and a mask."""
        return len(self.observed_features) + len(FORECAST_INPUTS) * self.uses_forecasts + 1

    @property
    def n_account_inputs(self) -> int:
        """Length of the account row: weights held and waiting, cash, what trackers show."""
        tracked = sum(len(card.inputs) for card in self.trackers)
        return len(self.symbols) * self.latency_bars + (self.sizing == "equity") + tracked

    @property
    def n_inputs(self) -> int:
        """Length of an observation."""
        windows = self.window_bars * len(self.symbols) * self.n_symbol_inputs
        return windows + self.n_account_inputs

    def to_card(self) -> dict[str, Any]:
        """Return the rules as JSON values."""
        card = asdict(self)
        del card["rebalance"]
        if not is_every_bar(self.rebalance):
            card["rebalance"] = self.rebalance.model_dump(mode="json")
        return card

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "DecisionRules":
        """Return the rules that `to_card` wrote.

        Raises
        ------
        DataError
            If a field is missing, unknown, or not of its type or range.
        """
        try:
            values: dict[str, Any] = dict(card)
            values["limits"] = WeightLimits.from_card(card["limits"])
            values["trackers"] = tuple(TrackerCard.from_card(each) for each in card["trackers"])
            values["symbols"] = tuple(card["symbols"])
            values["observed_features"] = tuple(card["observed_features"])
            if "rebalance" in card:
                values["rebalance"] = _REBALANCE.validate_python(card["rebalance"])
            rules = cls(**values)
            _KINDS.validate_json(json.dumps(card), strict=True)
        except (KeyError, TypeError, ValueError) as error:
            msg = (
                f"decision rules were {shown(dict(card))}; expected the fields and types of this"
                " version: restore the file or train again"
            )
            raise DataError(msg) from error
        _require_ranges(rules)
        return rules


_KINDS = TypeAdapter(DecisionRules)
_REBALANCE = TypeAdapter[RebalanceSpec](DeclaredRebalance)


def _require_ranges(rules: DecisionRules) -> None:
    limits = rules.limits
    sizes = (limits.max_weight, limits.max_gross, limits.max_turnover, limits.max_sector_gross)
    bounds = (*sizes, limits.min_net, limits.max_net)
    n_sectors = 0 if limits.max_sector_gross is None else len(rules.symbols)
    is_sound = (
        0 < len(rules.symbols) == len(set(rules.symbols))
        and len(rules.observed_features) == len(set(rules.observed_features))
        and min(rules.latency_bars, rules.window_bars) >= 1
        and all(bound is None or math.isfinite(bound) for bound in bounds)
        and all(size is None or size > 0.0 for size in sizes)
        and len(limits.sectors) == n_sectors
    )
    if not is_sound:
        msg = (
            f"decision rules were {shown(rules)}; expected symbols and features each once, one bar"
            " or more, limits above 0 and a sector for each symbol where sectors are limited:"
            " restore the file or train again"
        )
        raise DataError(msg)


def declared_rules(strategy: Strategy, symbols: Sequence[str]) -> DecisionRules:
    """Return the decision rules that a strategy declares for a universe."""
    return DecisionRules(
        symbols=tuple(symbols),
        observed_features=strategy.policy.observed_features,
        uses_forecasts=strategy.policy.uses_forecasts,
        sizing=strategy.policy.sizing,
        limits=declared_limits(strategy.risk, strategy.policy, symbols),
        trackers=tuple(card_of(tracker) for tracker in declared_trackers(strategy)),
        latency_bars=strategy.costs.latency_bars,
        window_bars=strategy.policy.window_bars,
        confidence_sizing=strategy.policy.confidence_sizing,
        rebalance=strategy.rebalance,
    )
