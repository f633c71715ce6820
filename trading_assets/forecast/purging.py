"""Which rows a model may be trained on, judged by the life of their labels.

A label of session t lives from t+1 to its exit. A train row whose label lives on into what is later
judged or predicted is purged; rows within the horizon of a predicted block are embargoed as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from trading_assets.errors import DataError
from trading_assets.forecast.dataset import Days, Index, LabelGrid, Panel, Rows

LEAST_TRAIN_ROWS = 50
LEAST_VALIDATION_ROWS = 10
# Share of a part's own rows, its newest sessions, that choose epoch, priors and temperature.
_PART_VALIDATION_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Labelled rows to train on and to validate on, and how many the purge left out."""

    train: Rows
    validation: Rows
    purged_rows: int


def label_ends(labels: LabelGrid, rows: Rows) -> Days:
    """Return the session on which each row's label ends (n,)."""
    return labels.label_end[rows.symbol, rows.session]


def keep_labelled(labels: LabelGrid, rows: Rows) -> Rows:
    """Return the rows that have a label."""
    return rows.where(np.isfinite(labels.scaled_return[rows.symbol, rows.session]))


def split_at_validation(
    panel: Panel, labels: LabelGrid, rows: Rows, validation_sessions: Sequence[date]
) -> SplitRows:
    """Split labelled rows at the validation window.

    A train row's label ends before the first validation session; a validation row's label ends on
    or before the last one, so no label reaches into the test window.

    Raises
    ------
    DataError
        If too few rows remain on either side.
    """
    wanted = np.array(sorted(validation_sessions), dtype="datetime64[D]")
    if not len(wanted):
        msg = "validation sessions were empty; expected some: raise folds.validation_months"
        raise DataError(msg)
    sessions, ends = panel.sessions[rows.session], label_ends(labels, rows)
    is_before = sessions < wanted[0]
    is_train = is_before & (ends < wanted[0])
    is_validation = np.isin(sessions, wanted) & (ends <= wanted[-1])
    split = SplitRows(
        rows.where(is_train), rows.where(is_validation), int((is_before & ~is_train).sum())
    )
    require_rows(split)
    return split


def require_rows(split: SplitRows) -> None:
    """Refuse a split that leaves too few windows to train or to validate on."""
    for label, rows, least, remedy in (
        ("train", split.train, LEAST_TRAIN_ROWS, "raise folds.train_months"),
        ("validation", split.validation, LEAST_VALIDATION_ROWS, "raise folds.validation_months"),
    ):
        if len(rows) < least:
            msg = (
                f"{len(rows)} {label} windows have all their bars and a label; expected at least"
                f" {least}: {remedy}, or lower forecast.window_bars or forecast.horizon_bars"
            )
            raise DataError(msg)


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a cross-fit: what it predicts and what it is trained on.

    `trained` lists (first session, last label end) of each stretch, inclusive.
    """

    predicted: Rows
    split: SplitRows
    trained: list[tuple[date, date]]


def cross_fit_part(
    panel: Panel, labels: LabelGrid, rows: Rows, block: Index, horizon_bars: int
) -> Part:
    """Return the part that predicts the sessions `block` (positions, contiguous) out of `rows`.

    A row of another block is used if its label ends more than the horizon before the block, or if
    it comes more than the horizon after the last label of the block has ended.
    """
    is_predicted = np.isin(rows.session, block)
    predicted = rows.where(is_predicted)
    others = keep_labelled(labels, rows.where(~is_predicted))
    ends = label_ends(labels, others)
    first, last = int(block[0]), int(block[-1])
    zone_start = panel.sessions[max(0, first - horizon_bars)]
    is_before = (others.session < first) & (ends < zone_start)
    own_ends = label_ends(labels, keep_labelled(labels, predicted))
    last_end = int(np.searchsorted(panel.sessions, np.max(own_ends, initial=panel.sessions[last])))
    is_after = others.session > max(last_end, last + horizon_bars) + horizon_bars
    usable = others.where(is_before | is_after)
    split = _hold_out_newest(panel, labels, usable, len(others) - len(usable))
    require_rows(split)
    used = _join(split.train, split.validation)
    stretches = [used.where(used.session < first), used.where(used.session > last)]
    return Part(predicted, split, [span(panel, labels, s) for s in stretches if len(s)])


def _hold_out_newest(panel: Panel, labels: LabelGrid, rows: Rows, purged: int) -> SplitRows:
    positions = np.unique(rows.session)
    held_out = positions[int(len(positions) * (1.0 - _PART_VALIDATION_SHARE)) :]
    if not len(held_out):
        return SplitRows(rows, rows, purged)
    is_validation = rows.session >= held_out[0]
    is_train = ~is_validation & (label_ends(labels, rows) < panel.sessions[held_out[0]])
    dropped = len(rows) - int(is_train.sum()) - int(is_validation.sum())
    return SplitRows(rows.where(is_train), rows.where(is_validation), purged + dropped)


def span(panel: Panel, labels: LabelGrid, rows: Rows) -> tuple[date, date]:
    """Return the first session of `rows` and the last session any of their labels lives on."""
    first, last = panel.sessions[rows.session.min()], label_ends(labels, rows).max()
    return date.fromisoformat(str(first)), date.fromisoformat(str(last))


def _join(left: Rows, right: Rows) -> Rows:
    return Rows(
        np.concatenate((left.symbol, right.symbol)),
        np.concatenate((left.session, right.session)),
    )
