"""Training by gradient ascent through a differentiable market.

The mean reward of many books over some bars is a smooth function of the policy's weights, so that
its gradient needs neither a critic nor exploration. Every book walks on along the market from
update to update: together they read each bar of the window equally often, with positions that the
policy itself has chosen.
Source: Buehler, Gonon, Teichmann, Wood, Deep Hedging, Quantitative Finance 19 (2019).
"""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trading_assets.agent_specs import DirectSpec
from trading_assets.errors import DeclarationError
from trading_assets.policy.book_tensors import BookTensors, join_fills
from trading_assets.policy.bounded_actions import bound_actions, limit_weights
from trading_assets.policy.checkpoints import N_CHECKPOINTS, CheckpointRecorder
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.differentiable import DifferentiableMarket
from trading_assets.policy.encoders import WindowEncoder
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.symbol_graph import symbol_graph
from trading_assets.policy.training import Training, quiet_torch
from trading_assets.rebalance_specs import is_every_bar
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask

_LAYERS = ("hidden_0", "hidden_1", "action")


def train_direct(training: Training) -> TrainedPolicy:
    """Train a policy through its market and return its best checkpoint.

    Each update ascends the mean reward of `paths` books over `unroll_bars` bars; the step size
    falls linearly to 0. Rewards are not discounted. About eight checkpoints are scored;
    `CheckpointRecorder` says which one is kept. The same seed gives the same bytes.

    Raises
    ------
    DataError
        If the task has rewards or trackers that cannot be differentiated, or lacks what its costs
        need.
    DeclarationError
        If trades are held back by a rebalance rule.
    """
    agent = cast("DirectSpec", training.agent)
    rule = training.rules.rebalance
    if not is_every_bar(rule):
        msg = (
            f"rebalance was {rule.kind} for algorithm direct; expected every_bar, since its"
            " gradient does not pass through a rule that holds trades back"
        )
        raise DeclarationError(msg)
    recorder = CheckpointRecorder(training)
    with quiet_torch():
        ascent = _Ascent(training, agent)
        n_updates = -(-agent.total_steps // ascent.steps)
        every = -(-n_updates // N_CHECKPOINTS)
        for update in range(n_updates):
            ascent.update(agent.learning_rate * (1.0 - update / n_updates))
            if (update + 1) % every == 0 or update + 1 == n_updates:
                recorder.record(ascent.actor.tensors(), (update + 1) * ascent.steps)
                if recorder.is_over:
                    break
    return recorder.best()


class _Actor(nn.Module):
    """The network of `TrainedPolicy`, shown the market and the account apart."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        rules, agent = training.rules, training.agent
        n_symbols, n_hidden = len(rules.symbols), agent.hidden_units
        n_inputs = rules.n_symbol_inputs
        self.encoder: WindowEncoder | None = None
        self.n_context = rules.window_bars * n_symbols * n_inputs
        if agent.encoder is not None:
            self.encoder = WindowEncoder(
                agent.encoder, rules.window_bars, n_symbols, n_inputs, symbol_graph(training)
            )
            self.n_context = self.encoder.n_features
        self.hidden_0 = nn.Linear(self.n_context + rules.n_account_inputs, n_hidden)
        self.hidden_1 = nn.Linear(n_hidden, n_hidden)
        self.action = nn.Linear(n_hidden, n_symbols)
        # The first actions are near 0 and depend on everything a little.
        for layer, gain in ((self.hidden_0, 2**0.5), (self.hidden_1, 2**0.5), (self.action, 0.01)):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def see(self, context: Tensor) -> Tensor:
        """Return what contexts (..., W x C) add to the first layer, (..., H)."""
        if self.encoder is not None:
            encoder = self.encoder
            shape = (-1, encoder.window_bars, encoder.n_symbols, encoder.n_inputs)
            context = encoder(context.reshape(shape)).reshape(*context.shape[:-1], -1)
        return nn.functional.linear(
            context, self.hidden_0.weight[:, : self.n_context], self.hidden_0.bias
        )

    def act(self, seen: Tensor, account_weight: Tensor, account: Tensor) -> Tensor:
        """Return actions (K, N) in [-1, 1]."""
        layer = torch.tanh(torch.addmm(seen, account, account_weight))
        return bound_actions(self.action(torch.tanh(self.hidden_1(layer))))

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights, copied."""
        return {name: value.detach().numpy().copy() for name, value in self.state_dict().items()}


class _Ascent:
    """The state of one training: a network, its optimizer, and books along the market."""

    def __init__(self, training: Training, agent: DirectSpec) -> None:
        task, episodes = training.task, training.episodes
        torch.manual_seed(training.seed)
        self._rng = np.random.default_rng(training.seed)
        self._training = training
        # An observation needs its whole window.
        self._first_row = max(episodes.first_row, task.view.window_bars - 1)
        self._n_bars = min(agent.unroll_bars, episodes.last_row - self._first_row)
        self._latest_row = episodes.last_row - self._n_bars
        self._market = DifferentiableMarket(task, self._first_row, episodes.last_row)
        self._tradable = _tradable_within_limits(
            task, training.rules, np.arange(self._first_row, episodes.last_row)
        )
        self._factors = _factors_of(task, np.arange(self._first_row, episodes.last_row))
        self.actor = _Actor(training)
        self._optimizer = torch.optim.Adam(self.actor.parameters())
        self._rows = self._spread_out(agent.paths)
        self._books = self._market.open_books(agent.paths)
        self.steps = agent.paths * self._n_bars

    def update(self, learning_rate: float) -> None:
        """Take one step of the weights, and carry the books on to where the next one starts."""
        rows = self._rows + np.arange(self._n_bars)[:, None]
        rewards, books = self._unroll(rows)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.zero_grad()
        (-self._training.episodes.reward_scale * rewards.mean()).backward()
        self._optimizer.step()
        following = self._rows + self._n_bars
        is_over = following > self._latest_row
        # Not always at the same row, so that bars meet other places in the unrolled stretch.
        again = self._first_row + self._rng.integers(0, self._n_bars, len(following))
        self._rows = np.minimum(np.where(is_over, again, following), self._latest_row)
        self._books = self._market.carry_over(books, torch.from_numpy(is_over))

    def _spread_out(self, n_paths: int) -> Rows:
        n_starts = self._latest_row - self._first_row + 1
        places = np.arange(n_paths) * n_starts // n_paths + self._rng.integers(n_starts)
        return self._first_row + places % n_starts

    def _unroll(self, rows: Rows) -> tuple[Tensor, BookTensors]:
        market, actor, books = self._market, self.actor, self._books
        seen = actor.see(market.context(rows)).unbind(0)
        account_weight = actor.hidden_0.weight[:, actor.n_context :].T
        bars = market.bars(rows)
        fills = []
        for bar, at, known in zip(bars.each(), rows, seen, strict=True):
            actions = actor.act(known, account_weight, market.account_rows(books))
            books, fill = market.trade(books, self._weights(actions, at, books), bar)
            fills.append(fill)
        return market.rewards(join_fills(fills), bars, rows), books

    def _weights(self, actions: Tensor, rows: Rows, books: BookTensors) -> Tensor:
        limits = self._training.rules.limits
        share = 0.5 * (actions + 1.0) if limits.is_long_only else actions
        raw = share * limits.max_weight
        if self._factors is not None:
            raw = raw * self._factors[torch.from_numpy(rows - self._first_row)]
        if self._tradable is not None:
            return raw * self._tradable[torch.from_numpy(rows - self._first_row)]
        held = self._market.weigh(books.value, books).detach().double().numpy()
        view = self._training.task.view
        return limit_weights(raw, lambda weights: view.limit(weights, rows, held))


def _factors_of(task: TradingTask, rows: Rows) -> Tensor | None:
    """Return what weights are multiplied by, float32 (R, N); None if they are taken as they are."""
    factors = task.view.size_weights(np.ones((len(rows), len(task.market.symbols))), rows)
    return None if (factors == 1.0).all() else torch.from_numpy(factors.astype(np.float32))


def _tradable_within_limits(task: TradingTask, rules: DecisionRules, rows: Rows) -> Tensor | None:
    """Return 1 where a symbol may be held, float32 (R, N); None if more than `max_weight` binds."""
    high = rules.limits.max_weight
    low = 0.0 if rules.limits.is_long_only else -high
    shape = (len(rows), len(rules.symbols))
    # Limits are convex: if they leave the corners of the box, they leave the box.
    corners = ((high, low), (low, high), (0.0, high), (0.0, low))
    left = [
        task.view.limit(np.full(shape, raw), rows, np.full(shape, held)) for raw, held in corners
    ]
    is_tradable = left[0] != 0.0
    cut = [np.abs(w - raw * is_tradable).max() for w, (raw, _) in zip(left, corners, strict=True)]
    return None if max(cut) > 0.0 else torch.from_numpy(is_tradable.astype(np.float32))
