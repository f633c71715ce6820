"""What came true of forecasts, and by which session's close it was known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.scores import Array, Classes

Days = NDArray[np.datetime64]
# Symbol, session, scaled return and class of one forecast that came true; sessions as days.
Outcome = tuple[str, int, float, int]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came true, a pair of symbol and session at most once, in any order.

    Attributes
    ----------
    symbol : sequence of str (n,)
        Symbols.
    session : datetime64[D] (n,)
        Sessions that were forecast from.
    scaled_return : float64 (n,)
        Returns over the horizon, as `Predictions.mean` states them.
    classes : int64 (n,)
        0 down, 1 flat, 2 up.
    label_end : datetime64[D] (n,)
        Session by whose close this is known, after `session`.

    Raises
    ------
    DataError
        If columns differ in length, a return is nan or infinite, a class is none of three, a label
        ends by its session's close, or a row is there twice.
    """

    symbol: Sequence[str]
    session: Days
    scaled_return: Array
    classes: Classes
    label_end: Days

    def __post_init__(self) -> None:
        columns = (self.session, self.scaled_return, self.classes, self.label_end)
        if any(len(column) != len(self.symbol) for column in columns):
            counts = [len(self.symbol), *(len(column) for column in columns)]
            msg = f"outcomes had columns of {counts} rows; expected as many in each"
            raise DataError(msg)
        is_class = (self.classes >= 0) & (self.classes <= 2)
        is_whole = np.isfinite(self.scaled_return) & is_class & (self.label_end > self.session)
        if not is_whole.all():
            row = int(np.flatnonzero(~is_whole)[0])
            msg = (
                f"the outcome of {self.symbol[row]} on {self.session[row]} was"
                f" {self.scaled_return[row]}, class {self.classes[row]}, ended"
                f" {self.label_end[row]}; expected a finite return, a class of 0 to 2 and a later"
                " end: leave out rows without a label"
            )
            raise DataError(msg)
        require_once(self.symbol, self.session, "outcomes")

    def __len__(self) -> int:
        return len(self.symbol)


def require_once(symbol: Sequence[str], session: Days, name: str) -> None:
    """Refuse rows that name a symbol and session twice.

    Raises
    ------
    DataError
        Naming the first of them.
    """
    if not len(symbol):
        return
    symbols = np.asarray(symbol)
    order = np.lexsort((symbols, session))
    symbols, sessions = symbols[order], session[order]
    is_again = (symbols[1:] == symbols[:-1]) & (sessions[1:] == sessions[:-1])
    if is_again.any():
        row = int(np.flatnonzero(is_again)[0])
        msg = (
            f"{name} held {symbols[row]} on {sessions[row]} twice; expected each symbol once a"
            " session: look for duplicate rows"
        )
        raise DataError(msg)


def as_days(sessions: Days) -> NDArray[np.int64]:
    """Return sessions as days since 1970-01-01, int64 (n,)."""
    return sessions.astype("datetime64[D]").astype(np.int64)


def known_by(outcomes: Outcomes, closes: NDArray[np.int64]) -> Iterator[list[Outcome]]:
    """Yield for each close what is known by it and was not by the one before.

    Parameters
    ----------
    outcomes : Outcomes
        What came true, also after the last close.
    closes : int64 (k,)
        Days, rising. The first also yields all that was known before.

    Yields
    ------
    list of Outcome
        In order of label end, session and symbol, whatever the order of the rows.
    """
    ends, days = as_days(outcomes.label_end), as_days(outcomes.session)
    symbols = np.asarray(outcomes.symbol, dtype=np.str_)
    order = np.lexsort((symbols, days, ends))
    bounds = np.searchsorted(ends[order], closes, side="right").tolist()
    rows: list[Outcome] = list(
        zip(
            symbols[order].tolist(),
            days[order].tolist(),
            outcomes.scaled_return[order].tolist(),
            outcomes.classes[order].tolist(),
            strict=True,
        )
    )
    for first, last in zip([0, *bounds][:-1], bounds, strict=True):
        yield rows[first:last]
