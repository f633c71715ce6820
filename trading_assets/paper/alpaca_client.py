"""HTTP to Alpaca's trading API: time-outs, no redirects, and a POST that is never repeated here.

What a POST did is often not known: a time-out, a 5xx or an unreadable answer may follow an accepted
order. Such an outcome is `None`, and whoever asked has to look the order up. Keys travel in headers
only and appear in no message, even where an answer repeats them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import requests

from trading_assets.errors import MissingKeyError, UserError
from trading_assets.paper.gateways import BrokerError

PAPER_URL = "https://paper-api.alpaca.markets"
LIVE_URL = "https://api.alpaca.markets"
KEY_NAMES = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")
TIMEOUT_SECONDS = (3.05, 10.0)
GET_ATTEMPTS = 4

_LONGEST_WAIT_SECONDS = 60.0
# A shorter text would be found in answers by chance; keys have 20 signs and more.
_SHORTEST_KEY, _MASK = 8, "[key]"


class Answer:
    """A status and, where it could be read, the JSON that came with it."""

    def __init__(self, status: int, body: object) -> None:
        self.status = status
        self.body = body

    @property
    def fields(self) -> dict[str, Any]:
        """The body if it is an object, else no fields."""
        body = cast("Any", self.body)
        return cast("dict[str, Any]", body) if isinstance(body, dict) else {}

    @property
    def message(self) -> str:
        """The broker's own words, or the bare status."""
        text = str(self.fields.get("message") or "")[:200]
        plain = "".join(letter if letter.isprintable() else " " for letter in text)
        return plain or f"HTTP status {self.status}"


class AlpacaClient:
    """A session with one base URL.

    Parameters
    ----------
    credentials : mapping
        `ALPACA_API_KEY` and `ALPACA_SECRET_KEY` of the paper account.
    base_url : str
        Alpaca's paper URL, or a loopback address for a test server.
    permits_live : bool
        Second switch without which the live URL is refused.
    timeout_seconds : (float, float)
        For connecting, and for each wait on the answer.
    sleep : callable
        Waits a number of seconds.

    Raises
    ------
    MissingKeyError
        If a key is absent or empty.
    UserError
        If a key holds what no key can, or the URL is neither paper nor loopback, or live without
        the switch.
    """

    def __init__(
        self,
        credentials: Mapping[str, str],
        base_url: str = PAPER_URL,
        *,
        permits_live: bool = False,
        timeout_seconds: tuple[float, float] = TIMEOUT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._keys = _checked_keys(credentials)
        self._base_url = _checked_url(base_url, permits_live=permits_live)
        self._timeout = timeout_seconds
        self._sleep = sleep
        self._http = requests.Session()
        # A .netrc entry or proxy variable would change what is sent, and to whom.
        self._http.trust_env = False
        self._http.headers.update(
            {
                "APCA-API-KEY-ID": self._keys[0],
                "APCA-API-SECRET-KEY": self._keys[1],
                "Accept": "application/json",
            }
        )

    def __repr__(self) -> str:
        return f"AlpacaClient({self._base_url})"

    @property
    def is_paper(self) -> bool:
        """Whether no real money is behind the URL."""
        return self._base_url != LIVE_URL

    def wait(self, seconds: float) -> None:
        """Wait before asking again."""
        self._sleep(seconds)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Answer:
        """Read, again after 429, 5xx, time-outs and unreadable answers.

        Returns
        -------
        Answer
            With status 200 and a body, or 404.

        Raises
        ------
        BrokerError
            If the broker refused, or gave no readable answer in four attempts.
        """
        failure = "no answer"
        for attempt in range(GET_ATTEMPTS):
            answer, wait_seconds = self._request("GET", path, parameters, None)
            if answer is not None and answer.status in (200, 404):
                return answer
            if answer is not None and answer.status != 429 and answer.status < 500:
                msg = f"Alpaca refused GET {path}: {answer.message}; check keys and account"
                raise BrokerError(msg)
            failure = "no readable answer" if answer is None else f"HTTP status {answer.status}"
            if attempt + 1 < GET_ATTEMPTS:
                self._sleep(max(wait_seconds, 0.5 * 2.0**attempt))
        msg = f"Alpaca gave {failure} to GET {path} in {GET_ATTEMPTS} attempts; run again later"
        raise BrokerError(msg)

    def post(self, path: str, body: Mapping[str, str]) -> Answer | None:
        """Write, once.

        Returns
        -------
        Answer or None
            None where it is not known whether the broker has applied the request.
        """
        answer, _ = self._request("POST", path, None, body)
        if answer is None or answer.status == 429 or answer.status >= 500:
            return None
        return answer

    def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None,
        body: Mapping[str, str] | None,
    ) -> tuple[Answer | None, float]:
        """Return the answer, None if unreadable, and how long the broker asks to wait."""
        try:
            response = self._http.request(
                method,
                f"{self._base_url}{path}",
                params=parameters,
                json=body,
                timeout=self._timeout,
                allow_redirects=False,
            )
            content: object = response.json()
        except requests.JSONDecodeError:
            return None, 0.0
        except requests.RequestException:
            return None, 0.0
        # A proxy may repeat what it was sent, headers included.
        masked = _masked(content, [key for key in self._keys if len(key) >= _SHORTEST_KEY])
        return Answer(response.status_code, masked), _wait_asked_for(response)


def _checked_keys(credentials: Mapping[str, str]) -> tuple[str, str]:
    for name in KEY_NAMES:
        key = credentials.get(name)
        if not key:
            msg = f"{name} is not set; the Alpaca gateway needs it: add it to the environment"
            raise MissingKeyError(msg)
        if not key.isascii() or not key.isprintable() or " " in key:
            msg = (
                f"{name} holds a space, line end or other sign; expected none of them: set it anew"
            )
            raise UserError(msg)
    api_key, secret_key = (credentials[name] for name in KEY_NAMES)
    return api_key, secret_key


def _masked(value: object, secrets: Sequence[str]) -> object:
    """Return JSON values with every secret in their texts and names replaced."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _MASK)
        return value
    if isinstance(value, list):
        return [_masked(part, secrets) for part in cast("list[object]", value)]
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {str(_masked(n, secrets)): _masked(part, secrets) for n, part in fields.items()}
    return value


def _wait_asked_for(response: requests.Response) -> float:
    reset = response.headers.get("X-RateLimit-Reset", "")
    if response.status_code != 429 or not reset.isdigit():
        return 0.0
    return min(max(float(reset) - time.time() + 1.0, 0.0), _LONGEST_WAIT_SECONDS)


def _checked_url(url: str, *, permits_live: bool) -> str:
    parts = urlsplit(url)
    is_loopback = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    bare = f"{parts.scheme}://{parts.netloc}"
    if bare == PAPER_URL or (is_loopback and parts.username is None):
        return bare
    if bare == LIVE_URL and permits_live:
        return bare
    msg = f"Alpaca base URL was {bare!r}; expected {PAPER_URL}, as only paper trading is supported"
    raise UserError(msg)
