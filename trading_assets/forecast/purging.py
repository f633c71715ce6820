"""Which rows a model may be trained on, judged by the life of their labels.

A label of session t lives from t+1 to its exit. Rows are trained on, stop the training or judge
its outcome, in this order of time; a row whose label lives on into the next of these sets is
purged. Rows whose label ends within the horizon before a predicted block are purged too, and rows
that follow its last label are embargoed, because what moved prices then may still do so.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from trading_assets.errors import DataError
from trading_assets.forecast.dataset import Days, Index, LabelGrid, Mask, Panel, Rows

LEAST_TRAIN_ROWS = 50
LEAST_STOPPING_ROWS = 5
LEAST_JUDGING_ROWS = 5
# What brings more rows, of a fold and of a challenger.
_MORE_TRAINING = "raise folds.train_months (of a challenger governance.challenger_sessions)"
_MORE_VALIDATION = "raise folds.validation_months (of a challenger governance.validation_sessions)"
# Share of a part's own sessions, its newest, that are held out of training.
_PART_HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Labelled rows of one model, and how many the purge and the embargo left out.

    Attributes
    ----------
    train : Rows
        To fit on.
    stopping : Rows
        To choose epoch, priors and rounds on; no train label lives on into their sessions.
    judging : Rows
        To fit the temperature and to judge on; no stopping label lives on into their sessions.
    purged_rows : int
        Rows left out because of what their label's life meets, or by the embargo.
    """

    train: Rows
    stopping: Rows
    judging: Rows
    purged_rows: int

    @property
    def seen(self) -> Rows:
        """All rows that had a say in the model."""
        sets = (self.train, self.stopping, self.judging)
        return Rows(
            np.concatenate([rows.symbol for rows in sets]),
            np.concatenate([rows.session for rows in sets]),
        )


def label_ends(labels: LabelGrid, rows: Rows) -> Days:
    """Return the session on which each row's label ends (n,)."""
    return labels.label_end[rows.symbol, rows.session]


def keep_labelled(labels: LabelGrid, rows: Rows) -> Rows:
    """Return the rows that have a label."""
    return rows.where(np.isfinite(labels.scaled_return[rows.symbol, rows.session]))


def count_embargoed(horizon_bars: int, embargo_share: float, n_sessions: int) -> int:
    """Return how many sessions after a block's last label are left out of a train window."""
    return max(horizon_bars, math.ceil(embargo_share * n_sessions))


def split_at_validation(
    panel: Panel, labels: LabelGrid, rows: Rows, validation_sessions: Sequence[date]
) -> SplitRows:
    """Split labelled rows at the validation window, whose older half stops and newer half judges.

    A train row's label ends before the first validation session, a stopping row's before the first
    judging session and a judging row's on or before the last one, so none reaches the test window.
    An odd session goes to the judging half.

    Raises
    ------
    DataError
        If too few rows remain in one of the sets.
    """
    wanted = np.array(sorted(validation_sessions), dtype="datetime64[D]")
    if not len(wanted):
        msg = "validation sessions were empty; expected some: raise folds.validation_months"
        raise DataError(msg)
    is_over = label_ends(labels, rows) <= wanted[-1]
    is_asked = (panel.sessions[rows.session] < wanted[0]) | np.isin(
        panel.sessions[rows.session], wanted
    )
    split = _split_at(panel, labels, rows.where(is_over & is_asked), wanted)
    n_reaching_out = int((is_asked & ~is_over).sum())
    split = replace(split, purged_rows=split.purged_rows + n_reaching_out)
    require_rows(split, _MORE_VALIDATION)
    return split


def require_rows(split: SplitRows, remedy: str) -> None:
    """Refuse a split that leaves too few windows to train, to stop or to judge on.

    `remedy` is what brings more stopping and judging rows.
    """
    for name, rows, least, more in (
        ("train", split.train, LEAST_TRAIN_ROWS, _MORE_TRAINING),
        ("stopping", split.stopping, LEAST_STOPPING_ROWS, remedy),
        ("judging", split.judging, LEAST_JUDGING_ROWS, remedy),
    ):
        if len(rows) < least:
            msg = (
                f"{len(rows)} {name} windows have all their bars and a label; expected at least"
                f" {least}: {more}, or lower forecast.window_bars or forecast.horizon_bars"
            )
            raise DataError(msg)


def clear_of(
    panel: Panel,
    labels: LabelGrid,
    rows: Rows,
    predicted: Rows,
    block: Index,
    horizon_bars: int,
    embargo_sessions: int,
) -> Mask:
    """Return which rows (n,) a model that predicts the sessions `block` may be trained on.

    A row before the block if its label ends more than the horizon before it; one after it if it
    comes more than the embargo after the last label of the block has ended.

    Parameters
    ----------
    panel, labels : Panel, LabelGrid
        Data of the train window.
    rows : Rows
        Rows that are asked about, with a label.
    predicted : Rows
        Usable rows of the block.
    block : int64
        Positions of the sessions to predict, contiguous.
    horizon_bars : int
        Horizon of the labels.
    embargo_sessions : int
        Sessions left out after the last label, see `count_embargoed`.
    """
    is_before = ends_before(panel, labels, rows, block, horizon_bars)
    last_end = _last_end(panel, labels, predicted, block, horizon_bars)
    return is_before | (rows.session > last_end + embargo_sessions)


def hold_out_newest(panel: Panel, labels: LabelGrid, others: Rows, is_usable: Mask) -> SplitRows:
    """Split the usable ones of labelled rows; the newest fifth of their sessions is held out.

    Its older half stops training and its newer half judges.

    Raises
    ------
    DataError
        If too few rows remain in one of the sets.
    """
    usable = others.where(is_usable)
    sessions = np.unique(usable.session)
    held_out = panel.sessions[sessions[int(len(sessions) * (1.0 - _PART_HELD_OUT_SHARE)) :]]
    split = _split_at(panel, labels, usable, held_out)
    split = replace(split, purged_rows=split.purged_rows + int((~is_usable).sum()))
    require_rows(split, _MORE_TRAINING)
    return split


def span(panel: Panel, labels: LabelGrid, rows: Rows) -> tuple[date, date]:
    """Return the first session of `rows` and the last session any of their labels lives on."""
    first, last = panel.sessions[rows.session.min()], label_ends(labels, rows).max()
    return date.fromisoformat(str(first)), date.fromisoformat(str(last))


def ends_before(
    panel: Panel, labels: LabelGrid, rows: Rows, block: Index, horizon_bars: int
) -> Mask:
    """Return which rows (n,) have a label that ends more than the horizon before a block."""
    zone_start = panel.sessions[max(0, int(block[0]) - horizon_bars)]
    return label_ends(labels, rows) < zone_start


def _last_end(
    panel: Panel, labels: LabelGrid, predicted: Rows, block: Index, horizon_bars: int
) -> int:
    """Return the position of the session on which the last label of the block ends.

    A label that is not known yet is taken to end a horizon after the block.
    """
    ends = label_ends(labels, predicted)
    known = np.searchsorted(panel.sessions, ends[~np.isnat(ends)])
    return int(np.max(known, initial=block[-1] + horizon_bars))


def _split_at(panel: Panel, labels: LabelGrid, rows: Rows, held_out: Days) -> SplitRows:
    """Split labelled rows at the sessions held out, the newest of all, and purge between sets."""
    if not len(held_out):
        return SplitRows(rows, rows, rows, 0)  # there are none
    first, middle = held_out[0], held_out[len(held_out) // 2]
    sessions, ends = panel.sessions[rows.session], label_ends(labels, rows)
    is_train = (sessions < first) & (ends < first)
    is_stopping = (sessions >= first) & (sessions < middle) & (ends < middle)
    is_judging = sessions >= middle
    is_kept = is_train | is_stopping | is_judging
    return SplitRows(
        rows.where(is_train),
        rows.where(is_stopping),
        rows.where(is_judging),
        int((~is_kept).sum()),
    )
