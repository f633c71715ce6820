"""Trains a forecaster on one window: labels, candidates, calibration, choice."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.adaptive_limits import start
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.candidates import (
    fit_candidates,
    require_candidates,
    require_finite,
)
from trading_assets.forecast.card import (
    CODE_VERSION,
    ArchitectureCard,
    ForecasterCard,
    Interval,
    MetricsCard,
    PartCard,
    hash_names,
)
from trading_assets.forecast.class_rules import ClassRule, classify_rows, fit_class_rule
from trading_assets.forecast.conformal_state import ConformalState, CoverageRule
from trading_assets.forecast.dataset import LabelGrid, Panel, Rows, build_panel, find_known, rows_at
from trading_assets.forecast.forecast_rows import outcomes_of
from trading_assets.forecast.forecaster import FORECASTER, Forecaster, TrainingRecord
from trading_assets.forecast.fractional import (
    FRACTIONAL_COLUMN,
    Prices,
    add_difference,
    adjust_symbols,
    fit_panel_order,
)
from trading_assets.forecast.judging import judge_candidates
from trading_assets.forecast.labels import class_shares
from trading_assets.forecast.networks.fit import EnsembleTask
from trading_assets.forecast.networks.network import count_parameters
from trading_assets.forecast.networks.strip_rows import LabelledRows
from trading_assets.forecast.predictions import CANDIDATES, CandidateName, Predictions
from trading_assets.forecast.purging import SplitRows, keep_labelled, span, split_at_validation
from trading_assets.forecast.selection import Selection
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.transforms import FoldTransforms
from trading_assets.forecast.uniqueness import weigh_uniqueness
from trading_assets.forecast.weights import FittedModels
from trading_assets.forecast_specs import ForecastSpec

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """One forecaster to train: the data, the rows it may see and how.

    `prices` are there where the spec asks for a fractional difference; `candidates` are those that
    it may serve, and `threads` how many members are trained at a time.
    """

    panel: Panel
    labels: LabelGrid
    split: SplitRows
    spec: ForecastSpec
    feature_names: tuple[str, ...]
    name: str
    trained: tuple[Interval, ...]
    seed: int
    prices: Prices | None = None
    candidates: Collection[CandidateName] = CANDIDATES
    threads: int = 1


def train_forecaster(
    tables: ForecastTables,
    train_sessions: Sequence[date],
    validation_sessions: Sequence[date],
    spec: ForecastSpec,
    feature_names: Sequence[str],
    *,
    candidates: Collection[CandidateName] = CANDIDATES,
    threads: int = 1,
) -> Forecaster:
    """Return a forecaster of the train sessions, stopped and judged on the validation sessions.

    Parameters
    ----------
    tables : ForecastTables
        Of the train and validation sessions, and, to use the first ones, features of the
        `window_bars - 1` sessions before.
    train_sessions : sequence of date
        Sessions of the train window; those from the first validation session on are left out.
    validation_sessions : sequence of date
        The last sessions before the test window; they choose epoch, priors, temperatures and the
        served model. No label reaches beyond the last of them.
    spec : ForecastSpec
        Horizon, window, sizes and seed.
    feature_names : sequence of str
        Features the forecaster reads.
    candidates : collection of str
        Those that it may serve.
    threads : int
        Members of the network trained at a time; changes nothing but the time.

    Raises
    ------
    DataError
        If too few windows remain, a class hardly occurs, or features are missing or not finite.
    UserError
        If more principal components are declared than features are known.
    """
    panel = build_panel(tables.features, feature_names)
    labels = label_panel(panel, tables.bars, tables.actions, spec)
    sessions = [*train_sessions, *validation_sessions]
    before = [day for day in train_sessions if day < min(validation_sessions, default=date.max)]
    is_counted = find_known(panel, before)
    rows = keep_labelled(labels, rows_at(panel, sessions, spec.window_bars, is_counted))
    split = split_at_validation(panel, labels, rows, validation_sessions)
    return fit_forecaster(
        TrainingTask(
            panel=panel,
            labels=labels,
            split=split,
            spec=spec,
            feature_names=tuple(feature_names),
            name=FORECASTER,
            trained=(span(panel, labels, split.seen),),
            seed=spec.seed,
            prices=find_prices(tables, spec),
            candidates=candidates,
            threads=threads,
        )
    )


def find_prices(tables: ForecastTables, spec: ForecastSpec) -> Prices | None:
    """Return total-return prices by symbol where the spec asks for a fractional difference."""
    return adjust_symbols(tables.bars, tables.actions) if spec.fractional_difference else None


def fit_forecaster(task: TrainingTask) -> Forecaster:
    """Return the forecaster of one task.

    Train rows fit every candidate, stopping rows end its fitting, and judging rows, which come
    later, choose its temperature and which of them serves, see `selection`.

    Raises
    ------
    DataError
        If a class hardly occurs among the train rows, or a candidate's training or forecasts are
        not finite.
    """
    require_candidates(task.candidates)
    split = task.split
    rule = fit_class_rule(task.labels, split.train, task.spec, task.name)
    train, stopping, judging = (
        _label(task, rule, rows) for rows in (split.train, split.stopping, split.judging)
    )
    lives = classify_rows(rule, task.labels, split.train, task.spec.horizon_bars)
    if task.spec.sample_weights == "uniqueness":
        weights = weigh_uniqueness(task.panel, split.train, lives.life_bars)
        train = replace(train, weights=weights)
    task, transforms = _fit_transforms(task)
    inputs = transforms.apply(task.panel.values)
    work = EnsembleTask(
        inputs, transforms.n_masks, train, stopping, task.spec, task.seed, task.threads
    )
    fitted = fit_candidates(work, task.candidates)
    said: dict[CandidateName, Predictions] = {
        name: model.predict(inputs, judging.rows) for name, model in fitted.models.items()
    }
    require_finite(task.name, fitted.epoch_log_loss, said)
    judged = judge_candidates(said, judging, task.spec.horizon_bars, task.seed)
    metrics = MetricsCard(
        candidates=dict(judged.cards),
        network_over_logistic=judged.comparison,
        base_rate=float((judging.classes == class_shares(train.classes).argmax()).mean()),
        epoch_log_loss=fitted.epoch_log_loss,
        train_rows=len(train),
        stopping_rows=len(stopping),
        judging_rows=len(judging),
        purged_rows=split.purged_rows,
        both_touched_rows=lives.n_both_touched,
        train_class_shares=_triple(class_shares(train.classes)),
        judging_class_shares=_triple(class_shares(judging.classes)),
    )
    models = FittedModels(transforms, fitted.models[judged.selection.served])
    conformal = start(
        CoverageRule.of(task.spec),
        judged.served,
        outcomes_of(task.panel, task.labels, judging.rows, judging.classes),
    )
    card = _write_card(task, rule, models, (judged.selection, metrics, conformal))
    return Forecaster(card, models, TrainingRecord(fitted.models, judging, judged.served))


def _triple(shares: Array) -> tuple[float, float, float]:
    return float(shares[0]), float(shares[1]), float(shares[2])


def _fit_transforms(task: TrainingTask) -> tuple[TrainingTask, FoldTransforms]:
    """Return the task, its panel with a fractional difference if declared, and the transforms."""
    rows, names, order = task.split.train, task.feature_names, None
    if task.prices is not None:
        order = fit_panel_order(task.panel, rows, task.prices)
        task = replace(task, panel=add_difference(task.panel, task.prices, order))
        names = (*names, FRACTIONAL_COLUMN)
    values = task.panel.values[rows.symbol, :, rows.session]
    return task, FoldTransforms.fit(values, names, task.spec, order)


def _label(task: TrainingTask, rule: ClassRule, rows: Rows) -> LabelledRows:
    classes = classify_rows(rule, task.labels, rows, task.spec.horizon_bars).classes
    returns = task.labels.scaled_return[rows.symbol, rows.session]
    return LabelledRows(rows, classes, returns, np.ones(len(rows)))


def _write_card(
    task: TrainingTask,
    rule: ClassRule,
    models: FittedModels,
    judged: tuple[Selection, MetricsCard, ConformalState],
) -> ForecasterCard:
    spec = task.spec
    selection, metrics, conformal = judged
    return ForecasterCard(
        code_version=CODE_VERSION,
        served=selection.served,
        reason=selection.reason,
        architecture=ArchitectureCard(
            network=spec.sizes,
            window_bars=spec.window_bars,
            members=spec.members,
            dropout_passes=spec.dropout_passes,
            n_parameters=count_parameters(spec.sizes, models.transforms.n_inputs),
        ),
        feature_names=task.feature_names,
        features_sha256=hash_names(task.feature_names),
        inputs=models.transforms.to_card(),
        horizon_bars=spec.horizon_bars,
        class_rule=rule,
        train=span(task.panel, task.labels, task.split.train),
        validation=(
            span(task.panel, task.labels, task.split.stopping)[0],
            span(task.panel, task.labels, task.split.judging)[1],
        ),
        parts={task.name: PartCard(trained=task.trained)},
        seed=task.seed,
        declared=spec,
        metrics=metrics,
        conformal=conformal,
        data_sha256=_hash_data(task),
        weights_sha256=hashlib.sha256(models.pack()).hexdigest(),
    )


def _hash_data(task: TrainingTask) -> str:
    """Return the digest of all that models are shown: every bar of a window, and the labels."""
    digest = hashlib.sha256()
    seen = task.split.seen.session
    first, last = int(seen.min()) - task.spec.window_bars + 1, int(seen.max())
    digest.update(task.panel.values[:, :, max(0, first) : last + 1].tobytes())
    for rows in (task.split.train, task.split.stopping, task.split.judging):
        digest.update(rows.symbol.tobytes() + rows.session.tobytes())
        digest.update(task.labels.scaled_return[rows.symbol, rows.session].tobytes())
        if task.labels.paths is not None:
            for path in (task.labels.paths.high, task.labels.paths.low):
                digest.update(path[rows.symbol, rows.session].tobytes())
    return digest.hexdigest()
