"""What training episodes draw anew: costs, latency and the weights they start with."""

from collections.abc import Sequence

import numpy as np

from trading_assets.randomisation_specs import RandomisationSpec
from trading_assets.simulation.compiled.layout import (
    BORROW_PER_BAR,
    FINANCING_PER_BAR,
    IMPACT,
    LATENCY_BARS,
    LINEAR,
    QUADRATIC,
)
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.terms import Floats

_COSTS = [LINEAR, IMPACT, QUADRATIC, FINANCING_PER_BAR, BORROW_PER_BAR]


class EpisodeDraws:
    """The terms of K books, drawn when an episode starts, and its first weights.

    Parameters
    ----------
    task : TradingTask
        Declared costs and latency.
    spec : RandomisationSpec
        What is drawn.
    n_books : int
        K.

    Attributes
    ----------
    terms : float64 (K, TERM_FIELDS)
        What trading costs each book, as the core's kernels read it.
    """

    def __init__(self, task: TradingTask, spec: RandomisationSpec, n_books: int) -> None:
        self._task, self._spec = task, spec
        self.terms: Floats = np.repeat(task.terms, n_books, axis=0)

    def start(
        self, books: Rows, rows: Rows, rngs: Sequence[np.random.Generator] | None
    ) -> Floats | None:
        """Draw the terms of some books anew, and return the weights they start with.

        Parameters
        ----------
        books, rows : int64 (M,)
            Which books start, and the row of each.
        rngs : sequence of Generator, optional
            One for each of them; absent, terms are the declared ones and books start flat.

        Returns
        -------
        float64 (M, N) or None
            Weights within the limits; None where books start flat.
        """
        self.terms[books] = self._task.terms[0]
        if rngs is None:
            return None
        raw = np.zeros((len(books), len(self._task.market.symbols)))
        for place, rng in enumerate(rngs):
            self._draw_terms(books[place], rng)
            if self._spec.start_weights:
                raw[place] = self._draw_weights(rng)
        return self._limit(raw, rows) if self._spec.start_weights else None

    def _draw_terms(self, book: int, rng: np.random.Generator) -> None:
        if self._spec.cost_factor is not None:
            low, high = np.log(self._spec.cost_factor)
            self.terms[book, _COSTS] *= np.exp(rng.uniform(low, high))
        if self._spec.latency:
            self.terms[book, LATENCY_BARS] = rng.integers(self._task.costs.latency_bars) + 1

    def _draw_weights(self, rng: np.random.Generator) -> Floats:
        # In units of what a policy's weights are seen in, so of the size that books hold.
        count, scale = len(self._task.market.symbols), self._task.view.held_scale
        if self._task.is_long_only:
            return rng.uniform(0.0, scale, count)
        return rng.normal(0.0, scale, count)

    def _limit(self, raw: Floats, rows: Rows) -> Floats:
        # As if held already: a first weight is no trade, so neither a limit on turnover counts nor
        # a rule that holds trades back.
        weights = self._task.view.limit(raw, rows, raw)
        if self._task.is_long_only:
            weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
        return weights
