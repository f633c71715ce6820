"""Trains a forecaster on one window: labels, network, gate model, calibration, choice."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.calibration import (
    class_probabilities,
    fit_temperature,
    log_loss,
    wilson_interval,
)
from trading_assets.forecast.card import (
    CODE_VERSION,
    ArchitectureCard,
    ForecasterCard,
    Interval,
    MetricsCard,
    ModelMetrics,
    PartCard,
    ServedModel,
    hash_names,
)
from trading_assets.forecast.class_rules import ClassRule, classify_rows, fit_class_rule
from trading_assets.forecast.dataset import (
    LabelGrid,
    Panel,
    Rows,
    build_panel,
    find_known,
    last_bars,
    rows_at,
)
from trading_assets.forecast.fit_network import (
    FittedNetwork,
    LabelledRows,
    fit_network,
    one_seeded_thread,
    run_network,
)
from trading_assets.forecast.forecaster import FORECASTER, Forecaster
from trading_assets.forecast.fractional import (
    FRACTIONAL_COLUMN,
    Prices,
    add_difference,
    adjust_symbols,
    fit_panel_order,
)
from trading_assets.forecast.gate_model import GateModel, Samples, fit_gate_model
from trading_assets.forecast.labels import class_shares
from trading_assets.forecast.network import KERNEL_BARS, attention_heads
from trading_assets.forecast.purging import SplitRows, keep_labelled, span, split_at_validation
from trading_assets.forecast.transforms import FoldTransforms
from trading_assets.forecast.weights import FittedModels
from trading_assets.strategy import ForecastSpec

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """One model to train: the data, the rows it may see and how.

    `prices` are there where the spec asks for a fractional difference.
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


def train_forecaster(
    features: pl.DataFrame,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    train_sessions: Sequence[date],
    validation_sessions: Sequence[date],
    spec: ForecastSpec,
    feature_names: Sequence[str],
) -> Forecaster:
    """Return a forecaster of the train sessions, stopped and judged on the validation sessions.

    Parameters
    ----------
    features : DataFrame
        Table features of the train and validation sessions, and, to use the first ones, of the
        `window_bars - 1` sessions before.
    bars, actions : DataFrame
        Tables validated_bars and corporate_actions of the same sessions; labels come from them.
    train_sessions : sequence of date
        Sessions of the train window; those from the first validation session on are left out.
    validation_sessions : sequence of date
        The last sessions before the test window; they choose epoch, priors, temperatures and the
        served model. No label reaches beyond the last of them.
    spec : ForecastSpec
        Horizon, window, sizes and seed.
    feature_names : sequence of str
        Features the forecaster reads.

    Raises
    ------
    DataError
        If too few windows remain, a class hardly occurs, or features are missing or not finite.
    UserError
        If more principal components are declared than features are known.
    """
    panel = build_panel(features, feature_names)
    labels = label_panel(panel, bars, actions, spec)
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
            prices=adjust_symbols(bars, actions) if spec.fractional_difference else None,
        )
    )


def fit_forecaster(task: TrainingTask) -> Forecaster:
    """Return the forecaster of one task; the served model has the lower log-loss in judging."""
    split = task.split
    rule = fit_class_rule(task.labels, split.train, task.spec, task.name)
    train, stopping, judging = (
        _label(task, rule, rows) for rows in (split.train, split.stopping, split.judging)
    )
    task, transforms = _fit_transforms(task)
    inputs = transforms.apply(task.panel.values)
    fitted = fit_network(inputs, transforms.n_masks, train, stopping, task.spec, task.seed)
    with one_seeded_thread(task.seed):
        gate = fit_gate_model(
            _samples(inputs, train), _samples(inputs, stopping), task.spec.horizon_bars
        )
    models = FittedModels(transforms, fitted.network, gate)
    metrics = _judge(task, fitted, gate, inputs, (train, judging))
    return Forecaster(_write_card(task, rule, models, metrics), models)


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
    return LabelledRows(rows, classes, task.labels.scaled_return[rows.symbol, rows.session])


def _samples(inputs: torch.Tensor, labelled: LabelledRows) -> Samples:
    return Samples(last_bars(inputs, labelled.rows), labelled.classes, labelled.scaled_returns)


def _judge(
    task: TrainingTask,
    fitted: FittedNetwork,
    gate: GateModel,
    inputs: torch.Tensor,
    labelled: tuple[LabelledRows, LabelledRows],
) -> MetricsCard:
    train, judging = labelled
    with one_seeded_thread(task.seed):
        output = run_network(fitted.network, inputs, judging.rows, task.spec.window_bars)
        network = output.logits.double().numpy()
        logistic = gate.logits(last_bars(inputs, judging.rows)).numpy()
    shares = class_shares(train.classes)
    prior = np.tile(shares, (len(judging.classes), 1))
    return MetricsCard(
        network=_measure(network, judging.classes, task.spec.horizon_bars),
        logistic=_measure(logistic, judging.classes, task.spec.horizon_bars),
        prior_log_loss=log_loss(prior, judging.classes),
        epoch_log_loss=tuple(fitted.epoch_log_loss),
        train_rows=len(train.rows),
        validation_rows=len(judging.rows),
        purged_rows=task.split.purged_rows,
        train_class_shares=_triple(shares),
        validation_class_shares=_triple(class_shares(judging.classes)),
    )


def _triple(shares: Array) -> tuple[float, float, float]:
    return float(shares[0]), float(shares[1]), float(shares[2])


def _measure(logits: Array, classes: NDArray[np.int64], horizon_bars: int) -> ModelMetrics:
    temperature = fit_temperature(logits, classes)
    accuracy = float((logits.argmax(axis=1) == classes).mean())
    # Overlapping labels: h rows carry about the information of one.
    independent = max(1.0, len(classes) / horizon_bars)
    return ModelMetrics(
        log_loss=log_loss(class_probabilities(logits, temperature), classes),
        uncalibrated_log_loss=log_loss(class_probabilities(logits), classes),
        accuracy=accuracy,
        accuracy_interval=wilson_interval(accuracy, independent),
        temperature=temperature,
    )


def _write_card(
    task: TrainingTask, rule: ClassRule, models: FittedModels, metrics: MetricsCard
) -> ForecasterCard:
    spec = task.spec
    served: ServedModel = (
        "network" if metrics.network.log_loss < metrics.logistic.log_loss else "logistic"
    )
    return ForecasterCard(
        code_version=CODE_VERSION,
        served=served,
        architecture=ArchitectureCard(
            hidden_units=spec.hidden_units,
            kernel_bars=KERNEL_BARS,
            attention_heads=attention_heads(spec.hidden_units),
            window_bars=spec.window_bars,
            n_parameters=sum(p.numel() for p in models.network.parameters()),
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
        declared=spec.model_dump(mode="json"),
        metrics=metrics,
        data_sha256=_hash_data(task),
        weights_sha256=hashlib.sha256(models.pack()).hexdigest(),
    )


def _hash_data(task: TrainingTask) -> str:
    digest = hashlib.sha256()
    for rows in (task.split.train, task.split.stopping, task.split.judging):
        digest.update(task.labels.scaled_return[rows.symbol, rows.session].tobytes())
        digest.update(task.panel.values[rows.symbol, :, rows.session].tobytes())
    return digest.hexdigest()
