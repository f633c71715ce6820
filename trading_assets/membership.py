"""A symbol's stints in a universe, as declared."""

from datetime import date
from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from trading_assets.declared import Day, Declared, Symbol
from trading_assets.delistings import delisting_cause


class Member(Declared):
    """A symbol's time in the universe; both ends are part of it, an absent end is open."""

    symbol: Symbol
    first_session: Day | None = Field(default=None, description="First day in the universe.")
    last_session: Day | None = Field(default=None, description="Last day in the universe.")
    delisting_reason: str | None = Field(
        default=None,
        min_length=1,
        max_length=60,
        description="Why it left, such as merger or bankruptcy.",
    )
    delisting_return: float | None = Field(
        default=None, ge=-1, allow_inf_nan=False, description="Return after the last bar, fraction."
    )

    @model_validator(mode="after")
    def _sessions_are_ordered(self) -> Self:
        first, last = self.first_session, self.last_session
        if first is not None and last is not None and last < first:
            msg = (
                f"last_session {last} of {self.symbol} is before first_session {first}; expected"
                " it on or after"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _a_delisting_is_dated_and_understood(self) -> Self:
        reason = self.delisting_reason
        if self.last_session is None and (reason, self.delisting_return) != (None, None):
            msg = f"{self.symbol} was delisted, but last_session is absent; expected its last day"
            raise ValueError(msg)
        if reason is not None and self.delisting_return is None and not delisting_cause(reason):
            msg = (
                f"delisting_reason of {self.symbol} was {reason!r}, which says nothing of the"
                " return after the last bar; name a bankruptcy, merger or index change, or add"
                " delisting_return"
            )
            raise ValueError(msg)
        return self


def order_stints(members: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return members by symbol and time, so that the order they are declared in says nothing.

    Raises
    ------
    ValueError
        If two stints of one symbol share a session.
    """
    ordered = tuple(sorted(members, key=lambda m: (m.symbol, m.first_session or date.min)))
    for earlier, later in pairwise(ordered):
        end, start = earlier.last_session or date.max, later.first_session or date.min
        if earlier.symbol == later.symbol and start <= end:
            msg = (
                f"{later.symbol} is a member from {earlier.first_session or 'the start'} to"
                f" {earlier.last_session or 'the end'} and again from"
                f" {later.first_session or 'the start'}; expected stints that do not overlap"
            )
            raise ValueError(msg)
    return ordered


Members = Annotated[tuple[Member, ...], AfterValidator(order_stints)]
