"""A trading task: a market, what trading it costs, what a policy sees and what it is paid.

The task does not know how observations are built or how actions become weights; it is given a
`DecisionView` for that, so that the environments, the backtest and paper trading share one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.randomisation_specs import RandomisationSpec
from trading_assets.simulation.core import Sizing
from trading_assets.simulation.market import Market, tape_of
from trading_assets.simulation.rewards.reward import Reward, Rows
from trading_assets.simulation.terms import Floats, terms_of
from trading_assets.simulation.trackers.tracker import Tracker
from trading_assets.strategy import CostsSpec


class DecisionView(Protocol):
    """What a policy sees at a row of the market, and what its actions mean."""

    @property
    def context(self) -> NDArray[np.float32]:
        """What is known of the market at the close of every row, float32 (T, C)."""
        ...

    @property
    def window_bars(self) -> int:
        """Rows of the context that an observation covers."""
        ...

    @property
    def held_scale(self) -> float:
        """What held weights are divided by where a policy sees them."""
        ...

    @property
    def shows_cash(self) -> bool:
        """Whether a policy sees the share of cash."""
        ...

    def size_weights(self, raw: Floats, rows: Rows) -> Floats:
        """Return raw weights float64 (K, N) by how sure a policy may be at each row's close."""
        ...

    def limit(self, raw: Floats, rows: Rows, held: Floats) -> Floats:
        """Return the weights float64 (K, N) that limits leave of raw ones."""
        ...

    def project(self, raw: Floats, rows: Rows, held: Floats) -> Floats:
        """Return the weights float64 (K, N) that limits and the rebalance rule leave of raw ones.

        To be asked once for each decision, with the weights that are held then.
        """
        ...

    def target_weights(self, actions: NDArray[np.floating], rows: Rows, held: Floats) -> Floats:
        """Return weights float64 (K, N) to be traded, within the limits, for actions in [-1, 1].

        Parameters
        ----------
        actions : float (K, N)
            Actions.
        rows : int64 (K,)
            Rows at whose close is decided.
        held : float64 (K, N)
            Weights held then.
        """
        ...


@dataclass(frozen=True)
class TradingTask:
    """A market, what trading it costs, and what is rewarded.

    Attributes
    ----------
    market : Market
        The market.
    view : DecisionView
        Observations and meaning of actions, row by row of the market.
    covariance : float64 (T or 1, N, N)
        Covariance for the reward, known at each row's close.
    costs : CostsSpec
        Trading costs and latency.
    sizing : {"equity", "constant_notional"}
        What a weight is a fraction of.
    is_long_only : bool
        Whether books may neither borrow nor go short.
    initial_usd : float
        Cash of a new book and notional of constant sizing, USD.
    reward : Reward
        What a bar is paid.
    trackers : sequence of Tracker
        What is remembered of each account and shown; holds those that the reward needs.
    confidence : float64 (T, N), optional
        What the forecasts shown at each row's close say of a rise, in [-1, 1]; for the reward.
    randomisation : RandomisationSpec, optional
        What training episodes draw anew; rollouts and backtests use the declared values.
    """

    market: Market
    view: DecisionView
    covariance: Floats
    costs: CostsSpec
    sizing: Sizing
    is_long_only: bool
    initial_usd: float
    reward: Reward
    trackers: Sequence[Tracker] = field(default=())
    confidence: Floats | None = None
    randomisation: RandomisationSpec | None = None

    @property
    def notional_usd(self) -> float | None:
        """Notional of constant sizing, absent when weights are fractions of equity."""
        return self.initial_usd if self.sizing == "constant_notional" else None

    @cached_property
    def tape(self) -> Floats:
        """The market as the core's kernels read it, float64 (T, TAPE_FIELDS, N)."""
        return tape_of(self.market)

    @cached_property
    def terms(self) -> Floats:
        """What trading costs as the core's kernels read it, float64 (1, TERM_FIELDS)."""
        return terms_of(self.costs, is_long_only=self.is_long_only, notional_usd=self.notional_usd)

    @cached_property
    def held_scale(self) -> float:
        """The view's, worked out once: environments ask at every step."""
        return self.view.held_scale

    @cached_property
    def shows_cash(self) -> bool:
        """The view's, worked out once."""
        return self.view.shows_cash

    @cached_property
    def n_account_inputs(self) -> int:
        """Length of an account row."""
        n_symbols = len(self.market.symbols)
        tracked = sum(len(tracker.inputs) for tracker in self.trackers)
        return n_symbols * self.costs.latency_bars + self.view.shows_cash + tracked

    @cached_property
    def n_inputs(self) -> int:
        """Length of a whole observation: the window of the context, then the account row."""
        return self.view.window_bars * self.view.context.shape[1] + self.n_account_inputs

    def require_window(self, row: int) -> None:
        """Refuse a row that has fewer rows before it than an observation shows.

        Raises
        ------
        DataError
            Saying how many there are.
        """
        window_bars = self.view.window_bars
        if row + 1 < window_bars:
            msg = (
                f"observations show {window_bars} bars and {self.market.sessions[row]} is bar"
                f" {row + 1} of the market; expected a window no longer than the data before a"
                " decision: declare a shorter policy.window_bars, or start later"
            )
            raise DataError(msg)
