"""The market core as torch tensors: rewards of books whose weights can be differentiated.

Prices do not depend on a small trader, so that bars are known before they are traded, and gradients
flow through weights, costs and books only. Money is in units of `initial_usd`. Quantities are not
rounded to lots; all else follows `simulation.compiled.book`. Costs are not smoothed: where nothing
is traded, their slope is taken as 0.
"""

import torch
from torch import Tensor

from trading_assets.errors import DataError
from trading_assets.policy.bar_tensors import BarTensors, stack_bars
from trading_assets.policy.book_tensors import BookTensors, FillTensors
from trading_assets.simulation.compiled.layout import (
    BORROW_PER_BAR,
    FINANCING_PER_BAR,
    IMPACT,
    LINEAR,
    MAX_PARTICIPATION,
    QUADRATIC,
)
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask

# A ruined book trades on as if it had a thousandth of its first cash: gradients stay finite.
_RUIN = 1e-3
_ROWS_AT_ONCE = 1024


class DifferentiableMarket:
    """Rows of a trading task as tensors, and K books traded over them.

    Parameters
    ----------
    task : TradingTask
        The task; it pays mean-variance rewards and has no trackers.
    first_row, last_row : int
        First decision allowed, and last bar that may be traded.
    dtype : torch.dtype
        Of all tensors.

    Raises
    ------
    DataError
        If the task pays something else, or what a trade costs is not known where it may be made.
    """

    def __init__(
        self, task: TradingTask, first_row: int, last_row: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self._reward = _reward_of(task)
        self._task = task
        self._terms: list[float] = task.terms[0].tolist()
        self._first_row = first_row
        self._bars = stack_bars(task, first_row, last_row).to(dtype)
        self._context = torch.from_numpy(task.view.context[:last_row]).to(dtype)
        self._window = torch.arange(1 - task.view.window_bars, 1)
        is_fixed = len(task.covariance) == 1
        covariance = task.covariance if is_fixed else task.covariance[first_row:last_row]
        self._covariance = torch.from_numpy(covariance).to(dtype)
        self._is_notional = task.sizing == "constant_notional"
        bars = BarTensors(*self._bars.unbind(0))
        self._is_whole = bool((bars.has_open * bars.is_priced == 1.0).all())
        self._follows_cash = (
            not self._is_notional or task.is_long_only or self._terms[FINANCING_PER_BAR] > 0.0
        )

    def open_books(self, n_books: int) -> BookTensors:
        """Return books that hold only cash of `initial_usd`."""
        flat = self._bars.new_zeros(n_books, self._bars.shape[-1])
        pending = (flat,) * (self._task.costs.latency_bars - 1)
        return BookTensors(flat.new_ones(n_books), flat, flat, pending)

    def carry_over(self, books: BookTensors, restarts: Tensor) -> BookTensors:
        """Return books without gradients, at the same weights and an equity of `initial_usd`.

        Those where `restarts`, bool (K,), hold only cash.
        """
        value, target, *pending = (
            weights.detach().masked_fill(restarts[:, None], 0.0)
            for weights in (
                self.weigh(books.value, books),
                books.target_weight,
                *(self.weigh(waiting, books) for waiting in books.pending),
            )
        )
        return BookTensors(1.0 - value.sum(-1), value, target, tuple(pending))

    def bars(self, rows: Rows) -> BarTensors:
        """Return the bars decided at the closes of `rows` (...)."""
        index = torch.from_numpy(rows - self._first_row)
        return BarTensors(*self._bars[:, index].unbind(0))

    def context(self, rows: Rows) -> Tensor:
        """Return the part of observations that does not depend on the book, (..., window x C)."""
        index = torch.from_numpy(rows)[..., None] + self._window
        return self._context[index].flatten(start_dim=-2)

    def weigh(self, value: Tensor, books: BookTensors) -> Tensor:
        """Return values (K, N) as fractions of equity or of the notional."""
        return value if self._is_notional else value / _equity(books)[:, None]

    def account_rows(self, books: BookTensors) -> Tensor:
        """Return the part of observations that depends on the book, (K, n_account_inputs)."""
        view = self._task.view
        held = self.weigh(books.value, books)
        parts = [held / view.held_scale]
        if view.shows_cash:
            parts.append(1.0 - held.sum(-1, keepdim=True))
        parts += [self.weigh(value, books) / view.held_scale for value in books.pending]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def trade(
        self, books: BookTensors, weights: Tensor, bar: BarTensors
    ) -> tuple[BookTensors, FillTensors]:
        """Carry books to the next close with target weights (K, N) within the limits."""
        value, cash = books.value, books.cash
        base = torch.ones_like(cash) if self._is_notional else _equity(books)
        decided = weights if self._is_notional else weights * base[:, None]
        if not self._is_whole:
            # Without a close to size it by, a target is what is held.
            decided = torch.where(bar.is_priced > 0.0, decided, value)
        due, *pending = (*books.pending, decided)
        trade = (due - value) * bar.fill_growth
        change = torch.zeros_like(trade)
        if self._terms[QUADRATIC] + self._reward.trade_aversion > 0.0:
            change = (self.weigh(due, books) - books.target_weight) * bar.has_open
        if self._terms[MAX_PARTICIPATION] > 0.0:
            trade, change = _cap(trade, change, bar)
        if self._follows_cash:
            cash = cash + (value * bar.payout).sum(-1)
            trade, change, cost = self._afford(trade, change, cash, base, bar)
            cash = cash - (trade + cost).sum(-1)
        fills = FillTensors(value, trade, change, base, cash)
        value = (value * bar.open_growth + trade) * bar.close_growth
        if self._follows_cash:
            cash = cash - self._financing(cash, value)
        waiting = tuple(target * _growth(bar) for target in pending)
        return BookTensors(cash, value, books.target_weight + change, waiting), fills

    def rewards(self, fills: FillTensors, bars: BarTensors, rows: Rows) -> Tensor:
        """Return unscaled mean-variance rewards, (...), of bars decided at the closes of `rows`."""
        moved = fills.value * bars.open_return
        at_fill = fills.value + moved + fills.trade
        gained = at_fill * bars.close_return
        cost = self._cost(fills.trade, fills.change, fills.base, bars)
        net = (moved + fills.value * bars.payout + gained - cost).sum(-1)
        net = net - self._financing(fills.cash, at_fill + gained)
        charge = self._reward.risk_aversion * self._variance(at_fill / fills.base[..., None], rows)
        if self._reward.trade_aversion > 0.0:
            charge = charge + self._reward.trade_aversion * self._variance(fills.change, rows)
        return net / fills.base - 0.5 * charge

    def _variance(self, weights: Tensor, rows: Rows) -> Tensor:
        # x' S x has the gradient 2 S x: S x alone is kept, in place of a covariance for each bar.
        index = torch.from_numpy(rows - self._first_row).reshape(-1)
        flat = weights.detach().reshape(len(index), -1, 1)
        if len(self._covariance) == 1:
            index = torch.zeros_like(index)
        spread = torch.cat(
            [
                self._covariance[some] @ x
                for some, x in zip(
                    index.split(_ROWS_AT_ONCE), flat.split(_ROWS_AT_ONCE), strict=True
                )
            ]
        ).view_as(weights)
        return ((2.0 * weights - weights.detach()) * spread).sum(-1)

    def _afford(
        self, trade: Tensor, change: Tensor, cash: Tensor, base: Tensor, bar: BarTensors
    ) -> tuple[Tensor, Tensor, Tensor]:
        cost = self._cost(trade, change, base, bar)
        if not self._task.is_long_only:
            return trade, change, cost
        is_buy = trade > 0.0
        spent = trade + cost
        needed = torch.where(is_buy, spent, 0.0).sum(-1)
        available = cash - torch.where(is_buy, 0.0, spent).sum(-1)
        is_short_of_cash = needed > available
        share = available.clamp(min=0.0) / torch.where(is_short_of_cash, needed, 1.0)
        scale = torch.where(is_buy & is_short_of_cash[:, None], share[:, None], 1.0)
        trade, change = trade * scale, change * scale
        return trade, change, self._cost(trade, change, base, bar)

    def _cost(self, trade: Tensor, change: Tensor, base: Tensor, bars: BarTensors) -> Tensor:
        amount = trade.abs()
        total = amount * self._terms[LINEAR]
        if self._terms[IMPACT] > 0.0:
            total = total + bars.impact * amount**1.5
        if self._terms[QUADRATIC] > 0.0:
            total = total + bars.quadratic * change * change * base[..., None]
        return total

    def _financing(self, cash: Tensor, value: Tensor) -> Tensor:
        total = torch.zeros_like(cash)
        if self._terms[FINANCING_PER_BAR] > 0.0:
            total = total + (-cash).clamp(min=0.0) * self._terms[FINANCING_PER_BAR]
        if self._terms[BORROW_PER_BAR] > 0.0:
            short = (-value).clamp(min=0.0).sum(-1)
            total = total + short * self._terms[BORROW_PER_BAR]
        return total


def _equity(books: BookTensors) -> Tensor:
    return (books.cash + books.value.sum(-1)).clamp(min=_RUIN)


def _growth(bar: BarTensors) -> Tensor:
    # What is paid out keeps its last price, at which a target that waits for it is shown.
    growth = bar.open_growth * bar.close_growth
    return torch.where(bar.open_growth > 0.0, growth, 1.0)


def _cap(trade: Tensor, change: Tensor, bar: BarTensors) -> tuple[Tensor, Tensor]:
    capped = trade.clamp(-bar.cap, bar.cap)
    is_traded = trade != 0.0
    return capped, change * torch.where(is_traded, capped, 1.0) / torch.where(is_traded, trade, 1.0)


def _reward_of(task: TradingTask) -> MeanVariance:
    if not isinstance(task.reward, MeanVariance) or task.trackers:
        trackers = ", ".join(tracker.name for tracker in task.trackers) or "none"
        msg = (
            f"the task paid {type(task.reward).__name__} with trackers {trackers}; expected"
            " mean-variance rewards without trackers: train another algorithm on it"
        )
        raise DataError(msg)
    return task.reward
