"""Account rows: what a policy sees of its own account at a close."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.simulation.compiled.environment import show_accounts, show_windows
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.tracker import Memory


@dataclass(frozen=True, slots=True)
class Accounts:
    """K accounts at the closes they are looked at.

    Attributes
    ----------
    held : float64 (K, N)
        Weights held.
    pending : float64 (K, latency - 1, N)
        Weights that are decided and not filled yet, the oldest first.
    memory : Memory
        What is remembered of them.
    """

    held: Floats
    pending: Floats
    memory: Memory


def write_account_rows(
    task: TradingTask, accounts: Accounts, out: NDArray[np.float32], first: int
) -> None:
    """Write account rows: weights held, share of cash, pending weights, what trackers show.

    Weights are divided by the view's scale; the share of cash is there where the view shows it.

    Parameters
    ----------
    task : TradingTask
        What is traded.
    accounts : Accounts
        K accounts.
    out : float32 (K, first + task.n_account_inputs)
        Written from column `first` on.
    first : int
        Column of an account row's first value.
    """
    show_accounts(accounts.held, task.held_scale, task.shows_cash, first, out)
    _write_rest(task, accounts, out, first)


def whole_observations(task: TradingTask, rows: Rows, accounts: Accounts) -> NDArray[np.float32]:
    """Return observations, float32 (K, task.n_inputs), known at the close of `rows`.

    The window of the context up to each row, the oldest row first, then the account row.
    """
    view = task.view
    out = np.empty((len(rows), task.n_inputs), dtype=np.float32)
    context = view.context
    width, window = context.shape[1], view.window_bars
    show_windows(
        context.reshape(-1),
        width,
        rows,
        window,
        accounts.held,
        task.held_scale,
        task.shows_cash,
        out,
    )
    _write_rest(task, accounts, out, window * width)
    return out


def _write_rest(
    task: TradingTask, accounts: Accounts, out: NDArray[np.float32], first: int
) -> None:
    """Write what follows weights and cash: pending weights, and what trackers show."""
    column = first + accounts.held.shape[1] + task.shows_cash
    if accounts.pending.shape[1]:
        pending = accounts.pending.reshape(len(out), -1) / task.held_scale
        out[:, column : column + pending.shape[1]] = pending
        column += pending.shape[1]
    if task.trackers:
        out[:, column:] = accounts.memory.show()
