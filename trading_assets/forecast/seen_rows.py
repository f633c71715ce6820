"""Proof that no row was predicted by a model that saw it, from stored rows and cards alone."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl


def find_seen_rows(forecasts: pl.DataFrame, *cards: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each model that predicted rows it had seen.

    A row is seen when its session, or the life of its label, meets a stretch the model was trained
    on. Lives are counted in the table's own sessions; a part's card also says how long the last of
    them was, since a symbol that was halted has fewer.

    Parameters
    ----------
    forecasts : DataFrame
        Table forecasts.
    cards : mappings
        Cards of `cross_fit` and of the forecaster (`Forecaster.card`, or card.json parsed).
    """
    trained: dict[str, list[tuple[date, date]]] = {}
    horizons: dict[str, int] = {}
    lives: dict[str, date] = {}
    for card in cards:
        for name, part in card["parts"].items():
            stretches = part["trained"]
            trained[name] = [
                (date.fromisoformat(first), date.fromisoformat(last)) for first, last in stretches
            ]
            horizons[name] = int(card["horizon_bars"])
            if part.get("labels_live_to"):
                lives[name] = date.fromisoformat(part["labels_live_to"])
    sessions: list[date] = forecasts["session"].unique().sort().to_list()
    sentences: list[str] = []
    for model in forecasts["model"].unique().sort().to_list():
        if model not in trained:
            sentences.append(
                f"forecasts name the model {model}, of which no card tells what it was trained on;"
                f" expected one of {', '.join(sorted(trained))}: forecast again"
            )
            continue
        predicted = forecasts.filter(pl.col("model") == model)["session"].unique().sort().to_list()
        seen = [
            day
            for day in predicted
            if _is_seen(day, _label_end(day, sessions, horizons[model]), trained[model])
        ]
        into = [
            first for first, _ in trained[model] if predicted[-1] < first < lives.get(model, first)
        ]
        if into and not seen:
            sentences.append(
                f"{model} predicted rows whose labels live to {lives[model]}, into its own training"
                f" from {min(into)} on; expected an end before: forecast again with the purge in"
                " force"
            )
        if seen:
            sentences.append(
                f"{model} predicted {len(seen)} sessions that meet its own training, first"
                f" {seen[0]}; expected none: forecast again with the purge in force"
            )
    return sentences


def _label_end(day: date, sessions: Sequence[date], horizon_bars: int) -> date:
    last = bisect_right(sessions, day) - 1 + horizon_bars
    return sessions[min(last, len(sessions) - 1)]


def _is_seen(day: date, label_end: date, trained: Sequence[tuple[date, date]]) -> bool:
    # A label whose end is not in the table yet still makes its own session a row that was seen.
    return any(day <= last and (label_end > first or day == first) for first, last in trained)
