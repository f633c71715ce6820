"""Errors a user can act on: each message says the value, the rule and the remedy."""


class UserError(Exception):
    """A mistake outside the program; commands print its sentence and exit with 2."""


class DeclarationError(UserError):
    """A declaration that does not follow its model."""


class DataError(UserError):
    """Data that is missing, refused or damaged."""


class NotCarriedError(DataError):
    """A symbol or day that a source does not carry: asking again gives the same answer."""


class MissingKeyError(UserError):
    """A credential that the chosen source or gateway needs and the environment lacks."""
