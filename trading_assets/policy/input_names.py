"""What each number of an observation is: names for what a policy sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trading_assets.policy.decision_rules import FORECAST_INPUTS, DecisionRules

InputKind = Literal["feature", "forecast", "known", "account"]

IS_KNOWN = "is_known"
HELD_WEIGHT = "held_weight"
CASH_SHARE = "cash_share"
WAITING_WEIGHT = "waiting_weight"

_SHORTER = {
    "expected_return_over_sigma": "mean",
    "error_over_sigma": "error",
    "noise_over_volatility": "noise",
    "interval_over_sigma": "interval",
    IS_KNOWN: "whether it is known",
}


@dataclass(frozen=True, slots=True)
class ObservedInput:
    """One thing that a policy sees, whatever the age of the bar.

    Attributes
    ----------
    kind : {"feature", "forecast", "known", "account"}
        Where it comes from; `known` is the mask of a symbol.
    name : str
        Feature, one of `FORECAST_INPUTS`, or what it is of the account.
    of_symbol : str
        Symbol that it is of; empty where it is of the whole account.
    """

    kind: InputKind
    name: str
    of_symbol: str = ""

    @property
    def title(self) -> str:
        """How a person calls it."""
        if self.kind == "feature":
            return self.name
        words = _SHORTER.get(self.name, self.name).replace("_", " ")
        return f"forecast {words}" if self.kind == "forecast" else words


@dataclass(frozen=True)
class InputNames:
    """The inputs of an observation, and which of its columns belong to each.

    Attributes
    ----------
    inputs : tuple of ObservedInput
        J inputs in order of first appearance.
    place : int64 (n_inputs,)
        Input of each column of an observation.
    newest : int64 (J,)
        Column with the input's newest value.
    """

    inputs: tuple[ObservedInput, ...]
    place: NDArray[np.int64]
    newest: NDArray[np.int64]

    def sum_columns(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values (..., n_inputs) summed over the columns of each input, (..., J)."""
        summed = np.zeros((*values.shape[:-1], len(self.inputs)))
        for column, input_ in enumerate(self.place):
            summed[..., input_] += values[..., column]
        return summed


def name_inputs(rules: DecisionRules) -> InputNames:
    """Return what each column of an observation is, in the order of `build_observation`."""
    columns = [*_bar_inputs(rules) * rules.window_bars, *_account_inputs(rules)]
    inputs = tuple(dict.fromkeys(columns))
    at = {each: place for place, each in enumerate(inputs)}
    place = np.array([at[each] for each in columns], dtype=np.int64)
    newest = np.zeros(len(inputs), dtype=np.int64)
    newest[place] = np.arange(len(columns))
    return InputNames(inputs, place, newest)


def symbol_places(rules: DecisionRules, names: Sequence[str]) -> list[int]:
    """Return where inputs of these names stand among the numbers of one symbol and bar."""
    own = _bar_inputs(rules)[: rules.n_symbol_inputs]
    return [place for place, each in enumerate(own) if each.name in names]


def _bar_inputs(rules: DecisionRules) -> list[ObservedInput]:
    forecasts = FORECAST_INPUTS if rules.uses_forecasts else ()
    return [
        each
        for symbol in rules.symbols
        for each in (
            *(ObservedInput("feature", name, symbol) for name in rules.observed_features),
            *(ObservedInput("forecast", name, symbol) for name in forecasts),
            ObservedInput("known", IS_KNOWN, symbol),
        )
    ]


def _account_inputs(rules: DecisionRules) -> list[ObservedInput]:
    held = [ObservedInput("account", HELD_WEIGHT, symbol) for symbol in rules.symbols]
    cash = [ObservedInput("account", CASH_SHARE)] * (rules.sizing == "equity")
    waiting = [
        ObservedInput("account", f"{WAITING_WEIGHT}_{bars}", symbol)
        # The oldest, which is filled next, comes first.
        for bars in range(1, rules.latency_bars)
        for symbol in rules.symbols
    ]
    tracked = [
        ObservedInput("account", f"{card.name}_{name}" if name != card.name else name)
        for card in rules.trackers
        for name in card.inputs
    ]
    return [*held, *cash, *waiting, *tracked]
