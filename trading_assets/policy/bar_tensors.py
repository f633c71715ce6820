"""The bars of a trading task in the form that books of tensors are traded over."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import (
    ADV_USD,
    CASH_PER_SHARE,
    CLOSE,
    IMPACT,
    MAX_PARTICIPATION,
    OPEN,
    PAYOUT_PER_SHARE,
    QUADRATIC,
    SPLIT_RATIO,
    TICK_USD,
    VOLATILITY,
    VOLUME,
)
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class BarTensors:
    """Bars decided at the close of t and filled at the open of t + 1, each (..., N).

    Money is in units of the task's `initial_usd`.

    Attributes
    ----------
    open_return, close_return : Tensor
        From the close of t to the fill and from there to the close of t + 1, splits included; 0
        without a bar, and -1 where a delisted symbol is paid out.
    payout : Tensor
        Cash from corporate actions for a unit held over the ex-date.
    open_growth, close_growth, fill_growth : Tensor
        1 plus these returns; the last is that to the fill, and 0 where there is none.
    has_open, is_priced : Tensor
        1 where there is a fill, and where the close of t gives a target its quantity; else 0.
    impact, quadratic : Tensor
        Impact of a traded unit over the root of that unit, and cost of a squared change of weight.
    cap : Tensor
        Largest trade; infinite without a cap.
    """

    open_return: Tensor
    close_return: Tensor
    payout: Tensor
    open_growth: Tensor
    close_growth: Tensor
    fill_growth: Tensor
    has_open: Tensor
    is_priced: Tensor
    impact: Tensor
    quadratic: Tensor
    cap: Tensor

    def each(self) -> list["BarTensors"]:
        """Return the bars one by one along the first axis."""
        apart = [getattr(self, field.name).unbind(0) for field in fields(self)]
        return [BarTensors(*values) for values in zip(*apart, strict=True)]


def stack_bars(task: TradingTask, first_row: int, last_row: int) -> Tensor:
    """Return the fields of `BarTensors` for rows of a task, float64 (fields, last - first, N).

    Parameters
    ----------
    task : TradingTask
        The task.
    first_row, last_row : int
        First row decided at, and last row that is traded.

    Raises
    ------
    DataError
        If what a trade costs is not known where a target may be decided.
    """
    bar = task.tape[first_row + 1 : last_row + 1]
    mark = _last_closes(task)[first_row:last_row]
    ratio = bar[:, SPLIT_RATIO]
    is_priced = np.isfinite(task.tape[first_row:last_row, CLOSE])
    has_open = np.isfinite(bar[:, OPEN])
    tick = task.terms[0, TICK_USD]
    opened = np.rint(bar[:, OPEN] / tick) * tick if tick > 0.0 else bar[:, OPEN]
    fill = np.where(has_open, opened, mark / ratio)
    ending = np.where(np.isfinite(bar[:, CLOSE]), bar[:, CLOSE], fill)
    is_paid_out = np.isfinite(bar[:, PAYOUT_PER_SHARE])
    worth_out = np.where(is_paid_out, ratio * bar[:, PAYOUT_PER_SHARE], 0.0)
    open_return = np.where(is_paid_out, -1.0, _ratio(fill * ratio, mark) - 1.0)
    open_return[mark == 0.0] = 0.0
    close_return = _ratio(ending, fill) - 1.0
    impact, quadratic = _cost_rates(task, slice(first_row, last_row), has_open)
    panels = {
        "open_return": open_return,
        "close_return": close_return,
        "payout": _ratio(bar[:, CASH_PER_SHARE] + worth_out, mark, absent=0.0),
        "open_growth": 1.0 + open_return,
        "close_growth": 1.0 + close_return,
        "fill_growth": (1.0 + open_return) * has_open,
        "has_open": has_open & ~is_paid_out,
        "is_priced": is_priced,
        "impact": impact,
        "quadratic": quadratic,
        "cap": _largest_trades(task, bar[:, VOLUME] * fill),
    }
    ordered = [panels[field.name] for field in fields(BarTensors)]
    return torch.from_numpy(np.stack(ordered).astype(np.float64))


def _ratio(above: Floats, below: Floats, absent: float = 1.0) -> Floats:
    return np.divide(above, below, out=np.full_like(above, absent), where=below > 0.0)


def _last_closes(task: TradingTask) -> Floats:
    close, ratio = task.tape[:, CLOSE], task.tape[:, SPLIT_RATIO]
    has_close = np.isfinite(close)
    rows = np.where(has_close, np.arange(len(close))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0)
    shares = np.cumprod(ratio, axis=0)
    worth = np.where(has_close, close, 0.0) * shares
    found = np.take_along_axis(worth, np.maximum(last, 0), axis=0) / shares
    return np.where(last >= 0, found, 0.0)


def _cost_rates(task: TradingTask, rows: slice, has_open: np.ndarray) -> tuple[Floats, Floats]:
    volatility, adv_usd = task.tape[rows, VOLATILITY], task.tape[rows, ADV_USD]
    per_impact, per_square = task.terms[0, IMPACT], task.terms[0, QUADRATIC]
    needs = (
        ("volatility", volatility, per_impact + per_square),
        ("average dollar volume", np.where(adv_usd > 0.0, adv_usd, np.nan), per_impact),
    )
    for name, values, coefficient in needs:
        is_absent = task.market.tradable[rows] & has_open & ~np.isfinite(values)
        if coefficient > 0.0 and is_absent.any():
            row, column = np.argwhere(is_absent)[0]
            session = task.market.sessions[rows][row]
            msg = (
                f"{task.market.symbols[column]} may be traded at {session}, where its {name} is not"
                " known; expected it for each symbol that may be traded: start the window later"
            )
            raise DataError(msg)
    root = np.sqrt(np.where(adv_usd > 0.0, adv_usd, np.inf) / task.initial_usd)
    impact = per_impact * np.nan_to_num(volatility) / root
    return impact, 0.5 * per_square * np.nan_to_num(volatility) ** 2


def _largest_trades(task: TradingTask, dollars: Floats) -> Floats:
    share = task.terms[0, MAX_PARTICIPATION]
    if share == 0.0:
        return np.full_like(dollars, np.inf)
    return np.nan_to_num(share * dollars / task.initial_usd, nan=0.0)
