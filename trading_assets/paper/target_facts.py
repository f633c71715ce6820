"""What the target of each symbol was decided on: its newest bar and its forecast."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.policy.decision import Decision
from trading_assets.simulation.market import Market

# Fields of the audit record DECISION: close of the newest bar; expected return over the horizon;
# distance of the probabilities of up and down; and the forecast's own numbers as JSON.
TARGET_FACTS = ("bar_ts", "signal", "confidence", "forecast")

FORECAST_NUMBERS = (
    "expected_return",
    "interval_low",
    "interval_high",
    "sigma_return",
    "p_down",
    "p_flat",
    "p_up",
)


def target_facts(
    decision: Decision, market: Market, row: int, calendar: ExchangeCalendar
) -> Mapping[str, Mapping[str, str]]:
    """Return what is known of each symbol of the market, as fields of an audit record.

    Parameters
    ----------
    decision : Decision
        Its forecasts are those of its session.
    market : Market
        Bars.
    row : int
        The market's newest row that is known.
    calendar : ExchangeCalendar
        When sessions close.
    """
    forecasts = {
        line["symbol"]: line
        for line in decision.forecasts.iter_rows(named=True)
        if line["session"] == decision.session
    }
    found: dict[str, dict[str, str]] = {}
    for column, symbol in enumerate(market.symbols):
        facts: dict[str, str] = {}
        rows = np.flatnonzero(np.isfinite(market.close[: row + 1, column]))
        if len(rows):
            newest = market.sessions[int(rows[-1])].item()
            facts["bar_ts"] = calendar.close_time(newest).isoformat()
        facts |= _of_forecast(forecasts.get(symbol, {}))
        found[symbol] = facts
    return found


def _of_forecast(forecast: Mapping[str, Any]) -> dict[str, str]:
    numbers: dict[str, float] = {}
    for name in FORECAST_NUMBERS:
        value = forecast.get(name)
        if value is not None and math.isfinite(value):
            numbers[name] = float(value)
    facts: dict[str, str] = {}
    if "expected_return" in numbers:
        facts["signal"] = repr(numbers["expected_return"])
    if "p_up" in numbers and "p_down" in numbers:
        facts["confidence"] = repr(abs(numbers["p_up"] - numbers["p_down"]))
    if numbers:
        facts["forecast"] = json.dumps(numbers, sort_keys=True)
    return facts
