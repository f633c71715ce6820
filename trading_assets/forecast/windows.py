"""What a train window is: days of training and of validation, for folds and challengers alike."""

from datetime import date
from typing import Protocol


class WindowLike(Protocol):
    """Days of training and validation, all inclusive.

    Training ends the session before `validation_start`; validation ends with `train_end`.
    """

    @property
    def train_start(self) -> date:
        """First day of training."""
        ...

    @property
    def validation_start(self) -> date:
        """First day of validation."""
        ...

    @property
    def train_end(self) -> date:
        """Last day of validation."""
        ...
