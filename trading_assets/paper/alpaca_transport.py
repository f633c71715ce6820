"""How a request to Alpaca's trading API travels: by HTTP within time limits, or to a function.

The limits of a whole answer, its size and the refusal of redirects are those of market data.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from trading_assets.bars.alpaca.transport import Patience, RedirectError, TimedAdapter

# For connecting, for each wait on the answer, and for the whole of it.
PATIENCE = Patience(connect_s=3.05, read_s=10.0, answer_s=30.0)


@dataclass(frozen=True, slots=True)
class Carried:
    """What came back for one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


# Takes method, address, headers, body and the limits for connecting and reading, seconds.
Carrier = Callable[[str, str, Mapping[str, str], bytes | None, tuple[float, float]], Carried]


class CarrierAdapter(BaseAdapter):
    """Hands requests to a function instead of a socket.

    Parameters
    ----------
    carrier : callable
        Answers a request; raises `OSError` or requests' exceptions where none comes.
    limits_s : (float, float)
        Limits for connecting and reading, which the function is told, seconds.
    """

    def __init__(self, carrier: Carrier, limits_s: tuple[float, float]) -> None:
        super().__init__()
        self._carrier = carrier
        self._limits_s = limits_s

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:  # noqa: ANN401 # as inherited
        """Return the function's answer.

        Raises
        ------
        RedirectError
            If the answer names another address.
        """
        del args, options
        headers = cast("Mapping[str, str]", request.headers)
        body = cast("str | bytes | None", request.body)
        answer = self._carrier(
            request.method or "",
            request.url or "",
            headers,
            body.encode() if isinstance(body, str) else body,
            self._limits_s,
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = io.BytesIO(answer.body)
        response.url = request.url or ""
        response.request = request
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            raise RedirectError(response)
        return response

    def close(self) -> None:
        """Release nothing: there is no connection."""


def build_adapter(carrier: Carrier | None, patience: Patience) -> BaseAdapter:
    """Return the way to Alpaca: HTTP, or `carrier` where one is given."""
    if carrier is None:
        return TimedAdapter(patience)
    return CarrierAdapter(carrier, (patience.connect_s, patience.read_s))
