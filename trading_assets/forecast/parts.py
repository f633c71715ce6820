"""Parts of a train window: a block that is predicted, and the rows its model is trained on."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from trading_assets.forecast.dataset import Index, LabelGrid, Mask, Panel, Rows
from trading_assets.forecast.purging import (
    SplitRows,
    clear_of,
    ends_before,
    hold_out_newest,
    keep_labelled,
    span,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a train window: what is predicted and what its model is trained on.

    `trained` lists (first session, last label end) of each stretch, inclusive.
    """

    predicted: Rows
    split: SplitRows
    trained: list[tuple[date, date]]


def cross_fit_part(
    panel: Panel,
    labels: LabelGrid,
    rows: Rows,
    block: Index,
    horizon_bars: int,
    embargo_sessions: int,
) -> Part:
    """Return the part that predicts the sessions `block` (positions, contiguous) from all others.

    A row before the block is used if its label ends more than the horizon before it; one after it
    if it comes more than the embargo after the last label of the block has ended. The newest fifth
    of the used rows' sessions is held out, its older half to stop and its newer half to judge.

    Parameters
    ----------
    panel, labels : Panel, LabelGrid
        Data of the train window.
    rows : Rows
        Usable rows of the train window, the block's included.
    block : int64
        Positions of the sessions to predict.
    horizon_bars : int
        Horizon of the labels.
    embargo_sessions : int
        Sessions left out after the last label, see `count_embargoed`.

    Raises
    ------
    DataError
        If too few rows remain in one of the sets.
    """
    predicted = rows.where(np.isin(rows.session, block))
    others = keep_labelled(labels, rows.where(~np.isin(rows.session, block)))
    gap = horizon_bars, embargo_sessions
    is_clear = clear_of(panel, labels, others, predicted, block, *gap)
    return _make_part(panel, labels, predicted, others, is_clear)


def expanding_part(
    panel: Panel, labels: LabelGrid, rows: Rows, block: Index, horizon_bars: int
) -> Part:
    """Return the part that predicts the sessions `block` from rows before it only.

    As `cross_fit_part`, but for the rows after the block. The first block of a window has none
    before it and is refused.

    Raises
    ------
    DataError
        If too few rows remain in one of the sets.
    """
    predicted = rows.where(np.isin(rows.session, block))
    others = keep_labelled(labels, rows.where(rows.session < block[0]))
    is_before = ends_before(panel, labels, others, block, horizon_bars)
    return _make_part(panel, labels, predicted, others, is_before)


def _make_part(
    panel: Panel, labels: LabelGrid, predicted: Rows, others: Rows, is_usable: Mask
) -> Part:
    split = hold_out_newest(panel, labels, others, is_usable)
    seen = split.seen
    is_older = seen.session < predicted.session.min()
    stretches = [seen.where(is_older), seen.where(~is_older)]
    trained = [span(panel, labels, stretch) for stretch in stretches if len(stretch)]
    return Part(predicted, split, trained)
