"""Books as tensors: what they hold and what was filled of them, in units of `initial_usd`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class BookTensors:
    """State of K books after a close, in units of `initial_usd`.

    Attributes
    ----------
    cash : (K,)
        Cash; not followed where nothing depends on it.
    value : (K, N)
        Positions at their last known closes, negative when short.
    target_weight : (K, N)
        Last filled target as a fraction of its base; followed where changes of it cost something.
    pending : tuple of (K, N)
        Targets that are decided and not filled yet, at their last known closes, the oldest first.
    """

    cash: Tensor
    value: Tensor
    target_weight: Tensor
    pending: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class FillTensors:
    """What was filled of books.

    Attributes
    ----------
    value, trade, change : (..., N)
        Positions before the bar, traded amounts at the fill, and changes of the target weight.
    base, cash : (...)
        What a weight of 1 is worth, and cash after trades and costs.
    """

    value: Tensor
    trade: Tensor
    change: Tensor
    base: Tensor
    cash: Tensor


def join_fills(fills: Sequence[FillTensors]) -> FillTensors:
    """Return fills bar by bar as one, with bars along the first axis."""
    names = [field.name for field in fields(FillTensors)]
    return FillTensors(*[torch.stack([getattr(fill, name) for fill in fills]) for name in names])
