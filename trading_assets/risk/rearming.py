"""Who re-armed what had stopped trading, why and when."""

from dataclasses import dataclass
from datetime import UTC, datetime

from trading_assets.errors import UserError, shown

_LONGEST_NAME, _LONGEST_REASON = 100, 1_000


@dataclass(frozen=True, slots=True)
class Rearm:
    """A re-arm by a named person.

    Attributes
    ----------
    by, reason : str
        Name and reason as given, without white space around them.
    at : datetime
        UTC.
    """

    by: str
    reason: str
    at: datetime

    @classmethod
    def of(cls, by: str, reason: str, at: datetime) -> "Rearm":
        """Return a re-arm after its checks.

        Raises
        ------
        UserError
            If name or reason is empty, too long or has characters that do not show, or the time
            has no time zone.
        """
        named = _text("by", by, "the name of a person", _LONGEST_NAME)
        why = _text("reason", reason, "why it is safe to go on", _LONGEST_REASON)
        if at.utcoffset() is None:
            msg = f"time of the re-arm was {at}; expected one with a time zone"
            raise UserError(msg)
        return cls(named, why, at.astimezone(UTC))


def _text(what: str, given: str, expected: str, longest: int) -> str:
    text = given.strip()
    has_letters = any(character.isalpha() for character in text)
    if not has_letters or len(text) > longest or not text.isprintable():
        msg = f"{what} was {shown(given)}; expected {expected}, up to {longest} characters"
        raise UserError(msg)
    return text
