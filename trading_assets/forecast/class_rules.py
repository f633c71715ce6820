"""What makes a label down, flat or up: rules fitted on train rows, kept in the forecaster's card.

A fixed horizon is cut at the terciles of the scaled return. A triple barrier is told by the first
barrier touched, whose width leaves a third of the train rows untouched.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading_assets.errors import DataError
from trading_assets.forecast.dataset import LabelGrid, Paths, Rows
from trading_assets.forecast.labels import CLASS_NAMES, class_shares
from trading_assets.forecast_specs import ForecastSpec

Array = NDArray[np.float64]
Classes = NDArray[np.int64]

# A class with fewer of the train labels than this share cannot be learned.
LEAST_CLASS_SHARE = 0.05
_DOWN, _FLAT, _UP = 0, 1, 2


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class TercileRule(_Rule):
    """Terciles of the scaled return of the train rows: above `lower` is flat, above `upper` up."""

    kind: Literal["terciles"] = "terciles"
    lower: float
    upper: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lower > self.upper:
            msg = f"lower was {self.lower} and upper {self.upper}; expected lower up to upper"
            raise ValueError(msg)
        return self

    def classify(self, scaled_returns: Array) -> Classes:
        """Return the class of each scaled return (n,): 0 down, 1 flat, 2 up."""
        return (scaled_returns > self.lower).astype(np.int64) + (scaled_returns > self.upper)


class BarrierRule(_Rule):
    """Barriers `width` units of volatility * sqrt(horizon) above and below the entry."""

    kind: Literal["barriers"] = "barriers"
    width: float = Field(gt=0)

    def first_touches(self, paths: Paths) -> tuple[Classes, Classes]:
        """Return the bars (from 0) in which lower and upper barrier are first touched, (n,) each.

        The horizon where one never is. A price exactly at a barrier touches it.
        """
        return (paths.low > -self.width).sum(axis=-1), (paths.high < self.width).sum(axis=-1)


# As a card holds it: the kind says which.
ClassRule = Annotated[TercileRule | BarrierRule, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class RowClasses:
    """Classes of rows and how long their labels live.

    Attributes
    ----------
    classes : int64 (n,)
        0 down, 1 flat, 2 up.
    life_bars : int64 (n,)
        Bars from the entry to the bar that decides the class, both included.
    n_both_touched : int
        Rows whose first touch is one of both barriers within one bar; they are taken as down.
    """

    classes: Classes
    life_bars: Classes
    n_both_touched: int


def fit_class_rule(
    labels: LabelGrid, rows: Rows, spec: ForecastSpec, name: str = "the model"
) -> ClassRule:
    """Return the rule whose classes are as near to a third each of the train rows as it can be.

    Parameters
    ----------
    labels : LabelGrid
        Labels, with paths where the spec asks for a triple barrier.
    rows : Rows
        Train rows, all with a label.
    spec : ForecastSpec
        Kind of labels and horizon.
    name : str
        Fold or part that an error names.

    Raises
    ------
    DataError
        If a class holds less than 5 % of the rows, or one has no label.
    """
    rule: ClassRule
    if spec.labels == "fixed_horizon":
        returns = labels.scaled_return[rows.symbol, rows.session]
        lower, upper = (float(q) for q in np.quantile(returns, (1.0 / 3.0, 2.0 / 3.0)))
        rule = TercileRule(lower=lower, upper=upper)
    else:
        rule = BarrierRule(width=_fit_width(_paths_of(labels, rows)))
    shares = class_shares(classify_rows(rule, labels, rows, spec.horizon_bars).classes)
    for class_name, share in zip(CLASS_NAMES, shares, strict=True):
        if share < LEAST_CLASS_SHARE:
            msg = (
                f"class {class_name} holds {share:.1%} of {len(rows)} train labels of {name};"
                f" expected at least {LEAST_CLASS_SHARE:.0%}: look for stale prices in the train"
                f" window, or lengthen forecast.horizon_bars or folds.train_months"
            )
            raise DataError(msg)
    return rule


def classify_rows(rule: ClassRule, labels: LabelGrid, rows: Rows, horizon_bars: int) -> RowClasses:
    """Return the classes of labelled rows under a rule, and the lives of their labels.

    Raises
    ------
    DataError
        If a row has no label, or the labels are not of the rule's kind.
    """
    returns = labels.scaled_return[rows.symbol, rows.session]
    unlabelled = int(np.isnan(returns).sum())
    if unlabelled:
        msg = (
            f"{unlabelled} of {len(rows)} rows to classify have no label; expected none: keep"
            f" labelled rows only"
        )
        raise DataError(msg)
    if isinstance(rule, TercileRule):
        return RowClasses(rule.classify(returns), np.full(len(rows), horizon_bars, np.int64), 0)
    down, up = rule.first_touches(_paths_of(labels, rows))
    is_touched = np.minimum(down, up) < horizon_bars
    # What came first within a bar is not known: the loss is assumed.
    touched = np.where(down <= up, _DOWN, _UP)
    return RowClasses(
        classes=np.where(is_touched, touched, _FLAT).astype(np.int64),
        life_bars=np.minimum(np.minimum(down, up) + 1, horizon_bars).astype(np.int64),
        n_both_touched=int((is_touched & (down == up)).sum()),
    )


def _paths_of(labels: LabelGrid, rows: Rows) -> Paths:
    if labels.paths is None:
        msg = (
            "labels hold no paths; expected those of a triple barrier: label the panel with"
            " forecast.labels triple_barrier"
        )
        raise DataError(msg)
    at = (rows.symbol, rows.session)
    return Paths(labels.paths.high[at], labels.paths.low[at])


def _fit_width(paths: Paths) -> float:
    """Return the width that leaves the share of rows nearest to a third untouched.

    A row is untouched by every width above its level, the farthest it went to either side, and
    touched by all others; so the levels themselves are all the widths there are to choose from.
    """
    levels, counts = np.unique(np.maximum(paths.high[:, -1], -paths.low[:, -1]), return_counts=True)
    untouched = (np.cumsum(counts) - counts) / max(1, counts.sum())
    levels, untouched = levels[levels > 0], untouched[levels > 0]
    if not len(levels):
        return 1.0  # no price moved: all rows are flat, at any width
    return float(levels[np.abs(untouched - 1.0 / 3.0).argmin()])
