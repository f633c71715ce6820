"""Sentences for what Alpaca's market-data API refuses or fails to answer.

Nothing of an answer is repeated except the vendor's own short message, without the keys.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

import requests

from trading_assets.bars.alpaca.keys import KEY_NAMES
from trading_assets.errors import DataError, UserError

_RECENT_SIP = 42210000
_MAX_MESSAGE = 160
_NAMED = 5
_KEYS = " and ".join(KEY_NAMES)


class InvalidRequestError(UserError):
    """A symbol or another value that Alpaca does not accept."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What was asked for, in the words of every sentence about it.

    Attributes
    ----------
    what : str
        `bars` or `corporate actions`.
    symbols : sequence of str
        Symbols asked for.
    feed : str or None
        Feed asked for; None for corporate actions.
    host : str
        Name of the server.
    secrets : sequence of str
        Texts that must stand in no message.
    """

    what: str
    symbols: Sequence[str]
    feed: str | None
    host: str
    secrets: Sequence[str] = field(repr=False)

    def __str__(self) -> str:
        named = ", ".join(self.symbols[:_NAMED])
        more = f" and {len(self.symbols) - _NAMED} more" if len(self.symbols) > _NAMED else ""
        feed = f" (feed {self.feed})" if self.feed else ""
        return f"{self.what} of {named}{more}{feed}"


def refusal(response: requests.Response, subject: Subject) -> UserError:
    """Return the error for an answer whose status is not 200 and will not be asked for again."""
    status = response.status_code
    code, said = _vendor_message(response, subject.secrets)
    if status == HTTPStatus.UNAUTHORIZED:
        msg = (
            f"Alpaca refused {subject} with status 401; set {_KEYS} to the two halves of one valid"
            " key pair of your Alpaca account"
        )
        return UserError(msg)
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(code, said, subject)
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        msg = (
            f"Alpaca refused {subject} with status {status}{said}; correct the universe, feed or"
            " dates of the data set"
        )
        return InvalidRequestError(msg)
    if status == HTTPStatus.NOT_FOUND:
        msg = (
            f"{subject.host} knows no address for {subject} (status 404); correct the source's url,"
            " or leave it out to use Alpaca's own"
        )
        return UserError(msg)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        msg = (
            f"{subject.host} redirects {subject} to another address (status {status}), where no key"
            " is sent; set the source's url to the address that answers"
        )
        return UserError(msg)
    msg = f"Alpaca answered {subject} with status {status}; try again later"
    return DataError(msg)


def unreadable(subject: Subject, reason: str) -> DataError:
    """Return the error for an answer that is not what the API promises."""
    msg = f"Alpaca's answer for {subject} {reason}; try again later, or report it to the vendor"
    return DataError(msg)


def _forbidden(code: object, said: str, subject: Subject) -> UserError:
    if code == _RECENT_SIP or "recent sip" in said.lower():
        msg = (
            f"Alpaca refused {subject}: the account's plan has no sip data of the last 15 minutes;"
            " set publication_lag_minutes to 15 or more, declare feed iex, or change the plan"
        )
        return UserError(msg)
    msg = (
        f"Alpaca refused {subject} with status 403{said}; check {_KEYS}, and that the account's"
        f" plan includes {f'feed {subject.feed}' if subject.feed else subject.what}"
    )
    return UserError(msg)


def _vendor_message(response: requests.Response, secrets: Sequence[str]) -> tuple[object, str]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return None, ""
    if not isinstance(body, dict):
        return None, ""
    fields = cast("dict[str, Any]", body)
    code, message = fields.get("code"), fields.get("message")
    if not isinstance(message, str) or "<" in message:
        return code, ""
    plain = "".join(letter if letter.isprintable() else " " for letter in message)
    # A proxy may repeat what it was sent, headers included.
    if any(secret and secret in plain for secret in secrets):
        return code, ""
    words = " ".join(plain.split()).rstrip(".")[:_MAX_MESSAGE]
    return code, f" ({words})" if words else ""
