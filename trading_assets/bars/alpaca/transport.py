"""Time limits of a request to Alpaca, and the waits its answers ask for."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from trading_assets.errors import DataError

_CHUNK_BYTES = 1 << 16
# A page of 10,000 bars takes about 1 MB.
_MAX_ANSWER_BYTES = 64 << 20
# A limit that ends this second may be lifted a moment after it.
_RESET_MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may take and how often it is sent again.

    Attributes
    ----------
    connect_s, read_s : float
        Longest wait for a connection, and for the next bytes of an answer, seconds.
    answer_s : float
        Longest time for a whole answer, seconds.
    repeats : int
        How often a request is sent again after status 429, 5xx or a lost connection.
    first_wait_s : float
        Wait before the first repeat where the server names none, seconds; it doubles each time.
    longest_wait_s : float
        A server that asks for a longer wait than this is not waited for, seconds.
    sleep, monotonic : callable
        Waits a number of seconds; tells seconds that pass.
    """

    connect_s: float = 3.05
    read_s: float = 30.0
    answer_s: float = 120.0
    repeats: int = 3
    first_wait_s: float = 1.0
    longest_wait_s: float = 65.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


class RedirectError(Exception):
    """An answer that names another address."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class TimedAdapter(HTTPAdapter):
    """Sends with time limits for connecting, for each read and for the whole answer."""

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self._patience = patience

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # options pass through
        """Send within the limits and return the answer, read to its end.

        Raises
        ------
        RedirectError
            If the answer names another address.
        DataError
            If the answer is too large.
        """
        limits = (self._patience.connect_s, self._patience.read_s)
        response = super().send(request, *args, **{**options, "stream": True, "timeout": limits})
        if HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST:
            response.close()
            # alpaca-py does not follow a redirect either, but takes it for an empty answer.
            raise RedirectError(response)
        try:
            response.raw = io.BytesIO(self._read(response.raw))
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.ReadTimeout(type(error).__name__) from None
        except urllib3.exceptions.HTTPError as error:
            raise requests.ConnectionError(type(error).__name__) from None
        return response

    def _read(self, raw: Any) -> bytes:  # noqa: ANN401 # requests leaves its type open
        ends = self._patience.monotonic() + self._patience.answer_s
        body = bytearray()
        try:
            while chunk := raw.read1(_CHUNK_BYTES, decode_content=True):
                body += chunk
                if self._patience.monotonic() > ends:
                    raise requests.ReadTimeout
                if len(body) > _MAX_ANSWER_BYTES:
                    msg = (
                        f"Alpaca's answer has more than {_MAX_ANSWER_BYTES >> 20} MiB; check that"
                        " the source's url is a market-data server"
                    )
                    raise DataError(msg)
        finally:
            raw.close()
        return bytes(body)


def asked_wait_s(response: requests.Response) -> float | None:
    """Return how long the server asks to wait, by its own clock, or None if it does not say."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    now = _epoch_s(response.headers.get("Date", ""))
    until = _epoch_s(asked)
    reset = response.headers.get("X-RateLimit-Reset", "").strip()
    is_limited = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    if until is None and is_limited and reset.isascii() and reset.isdigit():
        until = float(reset) + _RESET_MARGIN_S
    if now is None or until is None:
        return None
    return max(until - now, _RESET_MARGIN_S)


def _epoch_s(http_date: str) -> float | None:
    try:
        return parsedate_to_datetime(http_date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
