"""Forecasts for the train window by models that never saw the predicted rows.

A policy trained on in-sample forecasts would learn to trust them more than it may later.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from trading_assets.errors import DataError
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.dataset import build_panel, find_known, rows_at
from trading_assets.forecast.fractional import adjust_symbols
from trading_assets.forecast.purging import count_embargoed, cross_fit_part
from trading_assets.forecast.train import TrainingTask, fit_forecaster
from trading_assets.schema import conform
from trading_assets.strategy import ForecastSpec

# What the card of the cross-fit takes from the card of each part's forecaster.
_OF_PART = ("served", "metrics", "inputs", "class_rule", "seed", "weights_sha256")


def cross_fit(
    features: pl.DataFrame,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    train_sessions: Sequence[date],
    spec: ForecastSpec,
    feature_names: Sequence[str],
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return out-of-sample forecasts of the train window, and a card that proves it.

    The sessions are cut into `cross_fit_parts` contiguous blocks; each is predicted by a model
    trained on the others, purged by label life and the horizon before it and by label life and the
    embargo after it. Within those, the newest fifth of the sessions stops training and judges.

    Parameters
    ----------
    features, bars, actions : DataFrame
        Tables of the train window, see `train_forecaster`.
    train_sessions : sequence of date
        Sessions to predict; the first `window_bars - 1` have no forecast unless features reach
        further back.
    spec : ForecastSpec
        Labels, window, parts, embargo, sizes and seed.
    feature_names : sequence of str
        Features the models read.

    Returns
    -------
    table : DataFrame
        Table forecasts, window `train`, model `part-k`.
    card : dict
        JSON values: `parts` with the trained stretches, predicted sessions, fitted inputs and
        class rule, served model and metrics of each part, see `find_seen_rows`.

    Raises
    ------
    DataError
        If a part has too few windows to train on, or a class hardly occurs in it.
    UserError
        If more principal components are declared than features are known in a part.
    """
    panel = build_panel(features, feature_names)
    labels = label_panel(panel, bars, actions, spec)
    is_counted = find_known(panel, train_sessions)
    rows = rows_at(panel, train_sessions, spec.window_bars, is_counted)
    prices = adjust_symbols(bars, actions) if spec.fractional_difference else None
    blocks = np.array_split(np.unique(rows.session), spec.cross_fit_parts)
    if min(len(block) for block in blocks) == 0:
        msg = (
            f"cross_fit_parts was {spec.cross_fit_parts}, but only {len(np.unique(rows.session))}"
            f" sessions have a full window of {spec.window_bars}; expected more sessions than"
            f" parts: raise folds.train_months or lower forecast.window_bars"
        )
        raise DataError(msg)
    embargo = count_embargoed(spec.horizon_bars, spec.embargo_share, len(train_sessions))
    tables: list[pl.DataFrame] = []
    parts: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        name = f"part-{number}"
        part = cross_fit_part(panel, labels, rows, block, spec.horizon_bars, embargo)
        forecaster = fit_forecaster(
            TrainingTask(
                panel=panel,
                labels=labels,
                split=part.split,
                spec=spec,
                feature_names=tuple(feature_names),
                name=name,
                trained=tuple(part.trained),
                seed=spec.seed + 1 + number,
                prices=prices,
            )
        )
        tables.append(forecaster.predict_part(features, panel, part.predicted, name, prices))
        card = forecaster.card
        parts[name] = {
            "trained": card["parts"][name]["trained"],
            "predicted": [
                str(panel.sessions[block[0]]),
                str(panel.sessions[block[-1]]),
            ],
            **{key: card[key] for key in _OF_PART},
        }
    table = conform("forecasts", pl.concat(tables)).sort("symbol", "session")
    return table, {"kind": "cross_fit", "horizon_bars": spec.horizon_bars, "parts": parts}


def find_seen_rows(forecasts: pl.DataFrame, *cards: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each model that predicted rows it had seen.

    A row is seen when its session, or the life of its label, meets a stretch the model was trained
    on. Lives are counted in the table's own sessions.

    Parameters
    ----------
    forecasts : DataFrame
        Table forecasts.
    cards : mappings
        Cards of `cross_fit` and of the forecaster (`Forecaster.card`, or card.json parsed).
    """
    trained: dict[str, list[tuple[date, date]]] = {}
    horizons: dict[str, int] = {}
    for card in cards:
        for name, part in card["parts"].items():
            stretches = part["trained"]
            trained[name] = [
                (date.fromisoformat(first), date.fromisoformat(last)) for first, last in stretches
            ]
            horizons[name] = int(card["horizon_bars"])
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
    return any(day <= last and label_end > first for first, last in trained)
