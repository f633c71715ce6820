"""Panels of symbols that miss bars, with labels that live h of their own bars."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from trading_assets.forecast.dataset import Index, LabelGrid, Panel, Rows


@dataclass(frozen=True)
class RandomPanel:
    """A panel, its labels and its rows; some rows have no label though their exit is known."""

    panel: Panel
    labels: LabelGrid
    rows: Rows
    horizon: int
    n_sessions: int


def make_panel(is_bar: np.ndarray, horizon: int, is_unlabelled: np.ndarray) -> RandomPanel:
    """Return the panel whose symbols have a bar where `is_bar` (N, T) holds."""
    n_symbols, n_sessions = is_bar.shape
    sessions = np.datetime64("2004-01-01") + np.arange(n_sessions)
    table_row = np.full(is_bar.shape, -1)
    table_row[is_bar] = np.arange(is_bar.sum())
    panel = Panel(
        sessions,
        [f"S{number}" for number in range(n_symbols)],
        np.zeros((n_symbols, 1, n_sessions), np.float32),
        np.where(is_bar, 0.01, np.nan),
        table_row,
    )
    returns = np.full(is_bar.shape, np.nan)
    ends = np.full(is_bar.shape, np.datetime64("NaT", "D"))
    for number, own in enumerate(is_bar):
        bars = np.flatnonzero(own)
        for start, end in zip(bars, bars[horizon:], strict=False):
            ends[number, start] = sessions[end]
            returns[number, start] = np.nan if is_unlabelled[number, start] else 0.5
    session, symbol = np.nonzero(is_bar.T)
    labels = LabelGrid(returns, ends)
    return RandomPanel(panel, labels, Rows(symbol, session), horizon, n_sessions)


@st.composite
def random_panels(draw: st.DrawFn, most_sessions: int = 120) -> RandomPanel:
    """Draw one to four symbols, of which each misses single bars and one long stretch."""
    n_symbols, n_sessions = draw(st.integers(1, 4)), draw(st.integers(20, most_sessions))
    horizon = draw(st.integers(1, 12))
    missing_share = draw(st.sampled_from((0.0, 0.05, 0.3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    is_bar = rng.uniform(size=(n_symbols, n_sessions)) >= missing_share
    if missing_share:
        for own in is_bar:
            start = rng.integers(n_sessions)
            own[start : start + rng.integers(20)] = False
    is_bar[0, :10] = True
    return make_panel(is_bar, horizon, rng.uniform(size=is_bar.shape) < 0.05)


def lives(drawn: RandomPanel, rows: Rows) -> tuple[Index, Index]:
    """Return the positions of the sessions on which rows are decided and their labels end."""
    ends = drawn.labels.label_end[rows.symbol, rows.session]
    return rows.session, np.searchsorted(drawn.panel.sessions, ends)


def pairs(rows: Rows) -> set[tuple[int, int]]:
    return set(zip(rows.symbol.tolist(), rows.session.tolist(), strict=True))
