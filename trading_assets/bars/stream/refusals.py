"""Sentences for how Alpaca's stream refuses or drops a client, by the code of its error message.

The server's own words are never repeated: they could hold what was sent to it.
"""

from collections.abc import Mapping

from trading_assets.errors import UserError

_KEYS = "ALPACA_API_KEY and ALPACA_SECRET_KEY"
_LATER = "check the network and try again later"

_FATAL: Mapping[int, str] = {
    402: f"the keys (code 402); set {_KEYS} to the two halves of one valid key pair",
    405: "so many symbols (code 405); shorten the universe, or choose a plan that streams more",
    409: (
        "this feed to the account's plan (code 409); declare feed iex, or choose a plan that"
        " includes the feed"
    ),
    410: "such a subscription for this feed (code 410); declare another feed or bar length",
}
_PASSING: Mapping[int, tuple[str, str]] = {
    401: ("it did not accept the order of the sign-in (code 401)", _LATER),
    404: ("the sign-in took longer than it allows, 10 seconds (code 404)", _LATER),
    406: (
        "another program holds the only connection that the account may have (code 406)",
        "end the other program that streams with these keys",
    ),
    407: (
        "this program read too slowly (code 407)",
        "stream fewer symbols, or do less for each delivered table",
    ),
    500: ("it failed itself (code 500)", _LATER),
}


class LostConnectionError(Exception):
    """A connection that ended, why, and what a person could do if it keeps ending.

    Attributes
    ----------
    is_mute : bool
        Whether it ended because nothing came although bars were due.
    """

    def __init__(self, reason: str, remedy: str = _LATER, *, is_mute: bool = False) -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.is_mute = is_mute


def stream_error(code: int) -> UserError | LostConnectionError:
    """Return the error for an error message: final, or one after which a new attempt helps."""
    if code in _FATAL:
        return UserError(f"Alpaca's stream refuses {_FATAL[code]}")
    return LostConnectionError(*_PASSING.get(code, (f"it reported error code {code}", _LATER)))
