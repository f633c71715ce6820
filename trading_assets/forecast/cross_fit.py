"""Forecasts for the train window by models that never saw the predicted rows.

A policy trained on in-sample forecasts would learn to trust them more than it may later. Those
that were cross-fitted can flatter too: models that saw later rows know the regime that a row was
part of. Where that shows, the window is forecast by models of earlier rows only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from trading_assets.errors import DataError
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.dataset import (
    Index,
    LabelGrid,
    Panel,
    Rows,
    build_panel,
    find_known,
    rows_at,
)
from trading_assets.forecast.flattery import PartLosses, compare_parts, score_part
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.parts import Part, cross_fit_part, expanding_part
from trading_assets.forecast.predictions import CandidateName
from trading_assets.forecast.purging import count_embargoed, label_ends
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import TrainingTask, find_prices, fit_forecaster
from trading_assets.forecast_specs import ForecastSpec
from trading_assets.schema import conform

# What the card of the cross-fit takes from the card of each part's forecaster.
_OF_PART = ("served", "metrics", "inputs", "class_rule", "seed", "weights_sha256")
Kind = Literal["cross_fitted", "expanding"]


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Forecasts of a train window and the card that proves what they were made by."""

    rows: pl.DataFrame
    card: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Window:
    """What all parts of a train window have in common."""

    tables: ForecastTables
    panel: Panel
    labels: LabelGrid
    rows: Rows
    blocks: list[Index]
    spec: ForecastSpec
    feature_names: tuple[str, ...]
    served: CandidateName
    threads: int


@dataclass(frozen=True, slots=True)
class _PartForecast:
    name: str
    rows: pl.DataFrame
    card: dict[str, Any]
    losses: PartLosses


def cross_fit(
    tables: ForecastTables,
    train_sessions: Sequence[date],
    spec: ForecastSpec,
    feature_names: Sequence[str],
    served: CandidateName,
    *,
    threads: int = 1,
) -> CrossFit:
    """Return out-of-sample forecasts of the train window, and a card that proves it.

    The sessions are cut into `cross_fit_parts` contiguous blocks; each is predicted by a model
    trained on the others, purged by label life and the horizon before it and by label life and the
    embargo after it. Within those, the newest fifth of the sessions stops training and judges.

    Under `train_forecasts: auto` every block but the first is also predicted by a model of earlier
    rows only. Where forecasts by models that saw later rows gain more on the class shares than
    those, with a one-sided p below 0.05, the latter are returned, and the first block has none.
    Where earlier rows are too few for a model, nothing is compared, and the card says so.

    Parameters
    ----------
    tables : ForecastTables
        Of the train window, see `train_forecaster`.
    train_sessions : sequence of date
        Sessions to predict; the first `window_bars - 1` have no forecast unless features reach
        further back.
    spec : ForecastSpec
        Labels, window, parts, embargo, sizes and seed.
    feature_names : sequence of str
        Features the models read.
    served : str
        The candidate that serves after the window: the policy learns from forecasts of its kind.
    threads : int
        Members of a network trained at a time.

    Returns
    -------
    CrossFit
        Table forecasts, window `train`, model `part-k` or `earlier-k`; and JSON values: `parts`
        with the trained stretches, predicted sessions, fitted inputs, class rule and metrics of
        each part that predicts, see `find_seen_rows`, and how the two kinds compare.

    Raises
    ------
    DataError
        If a part has too few windows to train on, or a class hardly occurs in it.
    UserError
        If more principal components are declared than features are known in a part.
    """
    window = _open_window(tables, train_sessions, spec, feature_names, (served, threads))
    last = len(window.blocks) - 1
    crossed: list[_PartForecast] = []
    expanded: list[_PartForecast] = []
    refused: str | None = None
    for number, block in enumerate(window.blocks):
        if spec.train_forecasts != "expanding" or number == last:
            crossed.append(_forecast_by_others(window, block, number, len(train_sessions)))
        if spec.train_forecasts != "cross_fitted" and 0 < number < last and refused is None:
            try:
                expanded.append(_forecast_by_earlier(window, block, number))
            except DataError as error:
                if spec.train_forecasts == "expanding":
                    raise
                # What is only compared with must not fail a window that can be cross-fitted.
                refused = f"earlier-{number} could not be trained: {error}"
    # Nothing comes after the last block: it is predicted by earlier rows either way.
    expanded.append(crossed[-1])
    found = None
    if spec.train_forecasts == "auto" and served != "prior" and refused is None:
        losses = [part.losses for part in crossed[:-1]], [part.losses for part in expanded]
        found = compare_parts(*losses, spec.horizon_bars, spec.seed)
    is_flattered = found is not None and found.is_flattered
    kind: Kind = (
        "expanding" if is_flattered or spec.train_forecasts == "expanding" else "cross_fitted"
    )
    used = expanded if kind == "expanding" else crossed
    table = conform("forecasts", pl.concat([part.rows for part in used]))
    card = {
        "kind": "cross_fit",
        "train_forecasts": kind,
        "comparison": None if found is None else found.to_card(),
        "not_compared": refused,
        "horizon_bars": spec.horizon_bars,
        "parts": {part.name: part.card for part in used},
    }
    return CrossFit(table.sort("symbol", "session"), card)


def _open_window(
    tables: ForecastTables,
    train_sessions: Sequence[date],
    spec: ForecastSpec,
    feature_names: Sequence[str],
    how: tuple[CandidateName, int],
) -> _Window:
    panel = build_panel(tables.features, feature_names)
    is_counted = find_known(panel, train_sessions)
    rows = rows_at(panel, train_sessions, spec.window_bars, is_counted)
    blocks = np.array_split(np.unique(rows.session), spec.cross_fit_parts)
    if min(len(block) for block in blocks) == 0:
        msg = (
            f"cross_fit_parts was {spec.cross_fit_parts}, but only {len(np.unique(rows.session))}"
            f" sessions have a full window of {spec.window_bars}; expected more sessions than"
            f" parts: raise folds.train_months or lower forecast.window_bars"
        )
        raise DataError(msg)
    labels = label_panel(panel, tables.bars, tables.actions, spec)
    return _Window(tables, panel, labels, rows, blocks, spec, tuple(feature_names), *how)


def _forecast_by_others(
    window: _Window, block: Index, number: int, n_sessions: int
) -> _PartForecast:
    spec = window.spec
    embargo = count_embargoed(spec.horizon_bars, spec.embargo_share, n_sessions)
    part = cross_fit_part(
        window.panel, window.labels, window.rows, block, spec.horizon_bars, embargo
    )
    return _predict(window, part, block, (f"part-{number}", number))


def _forecast_by_earlier(window: _Window, block: Index, number: int) -> _PartForecast:
    part = expanding_part(window.panel, window.labels, window.rows, block, window.spec.horizon_bars)
    return _predict(window, part, block, (f"earlier-{number}", number))


def _predict(window: _Window, part: Part, block: Index, named: tuple[str, int]) -> _PartForecast:
    name, number = named
    forecaster = fit_forecaster(
        TrainingTask(
            panel=window.panel,
            labels=window.labels,
            split=part.split,
            spec=window.spec,
            feature_names=window.feature_names,
            name=name,
            trained=tuple(part.trained),
            seed=window.spec.seed + 1 + number,
            prices=find_prices(window.tables, window.spec),
            candidates=(window.served,),
            threads=window.threads,
        )
    )
    rows = forecaster.predict_part(window.tables, window.panel, part.predicted, name)
    card = _card(forecaster, window, block, name)
    ends = label_ends(window.labels, part.predicted)
    known = ends[~np.isnat(ends)]
    card["labels_live_to"] = str(known.max()) if len(known) else None
    return _PartForecast(name, rows, card, _score(forecaster, window, rows))


def _score(forecaster: Forecaster, window: _Window, rows: pl.DataFrame) -> PartLosses:
    of_part = forecaster.class_rule, forecaster.prior, window.spec.horizon_bars
    return score_part(of_part, window.panel, window.labels, rows)


def _card(forecaster: Forecaster, window: _Window, block: Index, name: str) -> dict[str, Any]:
    card, sessions = forecaster.card, window.panel.sessions
    return {
        "trained": card["parts"][name]["trained"],
        "predicted": [str(sessions[block[0]]), str(sessions[block[-1]])],
        **{key: card[key] for key in _OF_PART},
    }
