"""Walk-forward folds as calendar windows.

A fold trains on whole months, validates on the last of these and is tested on the year or quarter
that follows. Rolling train windows keep their length; anchored ones all begin on the same day and
grow. This module knows dates only: no bars, no arrays, no storage.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from trading_assets.errors import UserError
from trading_assets.strategy import FoldsSpec

MONTHS_OF: dict[Literal["year", "quarter"], int] = {"year": 12, "quarter": 3}

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fold:
    """One train, validation and test window; every date is inclusive.

    A decision is taken on what is known at a session's close and filled at the next session's open.
    The first decision of a test window is therefore taken at the close of the last session *before*
    `test_start`: it may use the bars of that session, none later.

    Windows do not purge anything. A label that looks `h` bars ahead from one of the last `h`
    sessions before `validation_start` or `test_start` reaches into the window that follows: whoever
    trains on these sessions has to drop such rows.

    Attributes
    ----------
    key : str
        First day of the test window, `YYYY-MM-DD`.
    train_start, train_end : date
        Everything that may be fitted on, validation included.
    validation_start : date
        First day of the validation window, which ends with `train_end`.
    test_start, test_end : date
        Days that nothing was fitted on.
    """

    key: str
    train_start: date
    train_end: date
    validation_start: date
    test_start: date
    test_end: date


def fold_keys(spec: FoldsSpec, today: date) -> list[str]:
    """Return the keys of the folds whose test window has ended before `today`, oldest first.

    Parameters
    ----------
    spec : FoldsSpec
        Length of the windows and the first and last test window.
    today : date
        Today, or for a finished data set the day after its last; a window that ends on this day has
        not ended.
    """
    months = MONTHS_OF[spec.period]
    keys: list[str] = []
    start = spec.first
    while spec.last is None or start <= spec.last:
        following = _add_months(start, months)
        if following > today:
            break
        keys.append(start.isoformat())
        start = following
    return keys


def get_fold(key: str, spec: FoldsSpec) -> Fold:
    """Return the windows of one fold.

    Parameters
    ----------
    key : str
        First day of the test window, `YYYY-MM-DD`.
    spec : FoldsSpec
        Length of the windows and the first and last test window.

    Raises
    ------
    UserError
        If `key` is no declared fold; whether its test window has ended is not judged here.
    """
    months = MONTHS_OF[spec.period]
    test_start = _parse_key(key)
    trained_before = spec.first if spec.window == "anchored" else test_start
    is_aligned = test_start.day == 1 and (test_start.month - 1) % months == 0
    is_declared = spec.first <= test_start and (spec.last is None or test_start <= spec.last)
    if not (is_aligned and is_declared):
        until = f" and no later than {spec.last}" if spec.last is not None else ""
        msg = (
            f"fold {key} is not declared; expected the first day of a {spec.period} no earlier than"
            f" {spec.first}{until}"
        )
        raise UserError(msg)
    return Fold(
        key=key,
        train_start=_add_months(trained_before, -spec.train_months),
        train_end=test_start - _ONE_DAY,
        validation_start=_add_months(test_start, -spec.validation_months),
        test_start=test_start,
        test_end=_add_months(test_start, months) - _ONE_DAY,
    )


def month_keys(start: date, end: date) -> list[str]:
    """Return the first day, `YYYY-MM-01`, of every month from `start`'s to `end`'s."""
    keys: list[str] = []
    month = start.replace(day=1)
    while month <= end:
        keys.append(month.isoformat())
        month = _add_months(month, 1)
    return keys


def train_months(fold: Fold) -> list[str]:
    """Return the month keys of the train window, validation included."""
    return month_keys(fold.train_start, fold.train_end)


def test_months(fold: Fold) -> list[str]:
    """Return the month keys of the test window."""
    return month_keys(fold.test_start, fold.test_end)


def _parse_key(key: str) -> date:
    try:
        day = date.fromisoformat(key)
    except ValueError:
        day = None
    if day is None or day.isoformat() != key:
        msg = f"fold {key!r} is no date; expected the first day of its test window as YYYY-MM-DD"
        raise UserError(msg)
    return day


def _add_months(first_of_month: date, months: int) -> date:
    index = first_of_month.year * 12 + first_of_month.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)
