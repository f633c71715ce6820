"""What came back for one request to Alpaca, and what it proves of a write.

Only an answer that can be read proves anything. A time-out, a broken connection, a status of 429 or
5xx, and a page that is no JSON may each follow an order that was taken, so they are unclear.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any, cast

import requests

from trading_assets.bars.alpaca.keys import KEY_NAMES
from trading_assets.paper.gateways import Answer, Evidence

# Statuses that say, with words of Alpaca's beside, that nothing was done and nothing will be.
_REFUSALS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
_LONGEST_MESSAGE = 200
_LONGEST_HEADER = 80


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, or why there is none.

    Attributes
    ----------
    request : str
        What was asked, such as `GET /v2/account`.
    status : int
        HTTP status; 0 where no answer came.
    content : object
        The JSON, its numbers Decimal; None where nothing could be read.
    failure : str
        Why nothing could be read, or empty.
    message : str
        The broker's own words on one line, without keys; else the bare status.
    """

    request: str
    status: int = 0
    content: object = None
    failure: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def fields(self) -> dict[str, Any]:
        """The content if it is an object, else no fields."""
        content = cast("Any", self.content)
        return cast("dict[str, Any]", content) if isinstance(content, dict) else {}

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be answered a moment later."""
        is_passing = self.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
        return is_passing or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or bool(self.failure)

    @property
    def shown(self) -> str:
        """What came, for a message."""
        if self.status == HTTPStatus.UNAUTHORIZED:
            return f"{self.message}; check {' and '.join(KEY_NAMES)}"
        return self.failure or self.message


def no_reply(request: str, failure: str) -> Reply:
    """Return what stands for an answer that did not come."""
    return Reply(request, failure=failure, message=failure)


def reply_of(request: str, response: requests.Response, secrets: Sequence[str]) -> Reply:
    """Return an answer as far as it can be read.

    Parameters
    ----------
    request : str
        What was asked.
    response : Response
        The answer, read to its end.
    secrets : sequence of str
        Texts that must stand in no message.
    """
    body = response.content
    status = response.status_code
    content, failure = _parsed(status, body)
    fields = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    message = _on_one_line(fields.get("message"), secrets) or f"HTTP status {status}"
    code = fields.get("code")
    evidence = Evidence(
        http_status=str(status),
        broker_code=str(code) if isinstance(code, int) else "",
        x_request_id=_on_one_line(response.headers.get("X-Request-ID"), secrets)[:_LONGEST_HEADER],
        response_sha256=hashlib.sha256(body).hexdigest(),
    )
    return Reply(request, status, content, failure, message, response.headers, evidence)


def answer_of(reply: Reply, *done: int) -> Answer:
    """Return what a reply to a write proves.

    Parameters
    ----------
    reply : Reply
        The answer to a POST, PATCH or DELETE.
    done : int
        Statuses that say that it was done.
    """
    if not reply.failure and reply.status in done:
        return Answer("taken", evidence=reply.evidence)
    if not reply.failure and reply.status in _REFUSALS and reply.fields:
        return Answer("refused", reason=reply.shown, evidence=reply.evidence)
    reason = f"{reply.request} was answered with {reply.shown}; whether it was done is not known"
    return Answer("unclear", reason=reason, evidence=reply.evidence)


def _parsed(status: int, body: bytes) -> tuple[object, str]:
    """Return the content, and why there is none."""
    if status == HTTPStatus.NO_CONTENT:
        return None, ""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant), ""
    except (ValueError, RecursionError):
        return None, f"HTTP status {status} and no readable JSON"


def _refuse_constant(name: str) -> object:
    msg = f"JSON holds {name}"
    raise ValueError(msg)


def _on_one_line(text: object, secrets: Sequence[str]) -> str:
    if not isinstance(text, str):
        return ""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    # Whatever stands between may repeat what it was sent, headers included.
    if any(secret in plain for secret in secrets):
        return ""
    return " ".join(plain.split())[:_LONGEST_MESSAGE]
