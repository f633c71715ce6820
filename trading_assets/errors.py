"""Errors a user can act on: each message says the value, the rule and the remedy."""

import reprlib


class UserError(Exception):
    """A mistake outside the program; commands print its sentence and exit with 2."""


class DeclarationError(UserError):
    """A declaration that does not follow its model."""


class DataError(UserError):
    """Data that is missing, refused or damaged."""


class EquityLostError(DataError):
    """A portfolio lost all its equity within a window that it trades."""


class ConflictError(DataError):
    """Another process changed meanwhile what a write was made from: read anew and write again."""


class NotCarriedError(DataError):
    """A symbol or day that a source does not carry: asking again gives the same answer."""


class MissingKeyError(UserError):
    """A credential that the chosen source or gateway needs and the environment lacks."""


def shown(value: object) -> str:
    """Return a value as a message shows it: as in Python, shortened, on one line."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        # An integer of more digits than Python writes.
        return f"a {type(value).__name__} too long to show"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 3
