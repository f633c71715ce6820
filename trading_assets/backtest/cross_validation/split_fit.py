"""Fits what is cheap on the train sessions of one split, and says what it was fitted on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.combinatorial_splits import CombinatorialSplit, CombinatorialSplits
from trading_assets.backtest.cross_validation.divided_market import DividedMarket, as_day
from trading_assets.errors import DataError
from trading_assets.features.catalogue import feature_names
from trading_assets.forecast.dataset import Rows, find_known, rows_at
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.purging import (
    SplitRows,
    clear_of,
    hold_out_newest,
    keep_labelled,
    label_ends,
    span,
)
from trading_assets.forecast.train import TrainingTask, find_prices, fit_forecaster
from trading_assets.policy.teachers import ExpectedReturns, expect_returns, trade_aversion_of

Days = NDArray[np.datetime64]
Index = NDArray[np.int64]
Fitted = TypeVar("Fitted")

FORECASTER, GARLEANU_PEDERSEN = "forecaster", "garleanu_pedersen"


@dataclass(frozen=True, slots=True)
class SplitFit:
    """What was fitted on the train sessions of one split.

    Attributes
    ----------
    split : CombinatorialSplit
        Train sessions, and the groups that are tested.
    expected : ExpectedReturns, optional
        What observed features say of returns.
    forecaster : Forecaster, optional
        The logistic forecaster.
    trade_aversion : float
        What changing a position costs, see `policy.teachers.trade_aversion_of`.
    lives : mapping of str to (datetime64[D] (n,), datetime64[D] (n,))
        Session of each row that was fitted on, and the last session that its label lives on.
    absences : mapping of str to str
        Why one could not be fitted, by name.
    """

    split: CombinatorialSplit
    expected: ExpectedReturns | None
    forecaster: Forecaster | None
    trade_aversion: float
    lives: Mapping[str, tuple[Days, Days]]
    absences: Mapping[str, str]


def fit_split(divided: DividedMarket, split: CombinatorialSplit) -> SplitFit:
    """Fit on a split's train sessions; what cannot be fitted is named with its reason.

    Rows whose label lives longer than the horizon, as where a symbol lacks bars, are purged by
    the session that it ends on.

    Parameters
    ----------
    divided : DividedMarket
        The market, features and labels.
    split : CombinatorialSplit
        What may be fitted on.
    """
    absences: dict[str, str] = {}

    def fitted(name: str, fit: Callable[[], Fitted]) -> Fitted | None:
        try:
            return fit()
        except DataError as error:
            absences[name] = str(error)
            return None

    rows = _train_rows(divided, split.train)
    sessions = divided.market.sessions
    lives = {GARLEANU_PEDERSEN: (sessions[rows], sessions[rows + 1])}
    expected = fitted(GARLEANU_PEDERSEN, lambda: expect_returns(divided.task, rows))
    found = fitted(FORECASTER, lambda: _fit_forecaster(divided, split))
    if found is not None:
        seen = found[1].seen
        lives[FORECASTER] = (
            divided.panel.sessions[seen.session],
            label_ends(divided.labels, seen),
        )
    return SplitFit(
        split=split,
        expected=expected,
        forecaster=None if found is None else found[0],
        trade_aversion=trade_aversion_of(divided.task, rows),
        lives=lives,
        absences=absences,
    )


def find_reaching(splits: CombinatorialSplits, fits: Sequence[SplitFit]) -> list[str]:
    """Return one sentence for each fit whose labels live in a group that it is tested on."""
    problems: list[str] = []
    for fit in fits:
        for group in fit.split.test_groups:
            first, last = (as_day(splits.groups[group][place]) for place in (0, -1))
            for name, (starts, ends) in fit.lives.items():
                count = int(((starts <= last) & (ends >= first)).sum())
                if count:
                    problems.append(
                        f"split {fit.split.number + 1}: {count} labels that {name} was fitted on"
                        f" live in group {group + 1}, {first} to {last}"
                    )
    return problems


def _train_rows(divided: DividedMarket, train: Sequence[date]) -> Index:
    """Return the market rows of train sessions that have a next one."""
    days = np.array(train, dtype="datetime64[D]")
    rows = np.searchsorted(divided.market.sessions, days).astype(np.int64)
    return rows[rows + 1 < len(divided.market.sessions)]


def _fit_forecaster(
    divided: DividedMarket, split: CombinatorialSplit
) -> tuple[Forecaster, SplitRows]:
    panel, labels, strategy = divided.panel, divided.labels, divided.strategy
    chosen = _choose_rows(divided, split)
    name = f"split-{split.number + 1}"
    task = TrainingTask(
        panel=panel,
        labels=labels,
        split=chosen,
        spec=strategy.forecast,
        feature_names=tuple(feature_names(strategy.features)),
        name=name,
        trained=tuple(
            span(panel, labels, stretch) for stretch in _stretches(divided, split, chosen.seen)
        ),
        seed=strategy.forecast.seed + split.number,
        prices=find_prices(divided.tables, strategy.forecast),
        candidates=("logistic",),
    )
    return fit_forecaster(task), chosen


def _choose_rows(divided: DividedMarket, split: CombinatorialSplit) -> SplitRows:
    panel, labels, spec = divided.panel, divided.labels, divided.strategy.forecast
    everything = [day for group in divided.splits.groups for day in group]
    rows = rows_at(panel, everything, spec.window_bars, find_known(panel, split.train))
    blocks = [divided.panel_block(group) for group in split.test_groups]
    blocks = [block for block in blocks if len(block)]
    is_tested = np.isin(rows.session, np.concatenate([np.empty(0, np.int64), *blocks]))
    others = keep_labelled(labels, rows.where(~is_tested))
    train = np.array(split.train, dtype="datetime64[D]")
    is_clear = np.isin(panel.sessions[others.session], train)
    gap = divided.gap.horizon_bars, divided.gap.embargo_sessions
    for block in blocks:
        predicted = rows.where(np.isin(rows.session, block))
        is_clear &= clear_of(panel, labels, others, predicted, block, *gap)
    return hold_out_newest(panel, labels, others, is_clear)


def _stretches(divided: DividedMarket, split: CombinatorialSplit, seen: Rows) -> list[Rows]:
    """Return the rows before, between and after the groups that are tested, where there are any."""
    starts = np.array([divided.splits.groups[group][0] for group in split.test_groups])
    days = divided.panel.sessions[seen.session]
    place = np.searchsorted(starts.astype("datetime64[D]"), days, side="right")
    return [seen.where(place == stretch) for stretch in np.unique(place)]
