"""Requests to Alpaca's trading API on alpaca-py's session: writes once, reads patiently.

alpaca-py sends a POST again after 429 and 504, which may make two orders of one, sets no time-out,
and raises errors that hold the request with its keys. Here its session, addresses and headers are
used, and its repeats, its reading of numbers as floats and its errors are not.
"""

import warnings
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from random import Random
from typing import Any, Literal, Protocol, cast

import requests
import urllib3

from trading_assets.bars.alpaca.transport import Patience, RedirectError
from trading_assets.errors import DataError
from trading_assets.paper.alpaca_account import AlpacaAccount
from trading_assets.paper.alpaca_reply import Reply, no_reply, reply_of
from trading_assets.paper.alpaca_transport import PATIENCE, Carrier, build_adapter
from trading_assets.paper.clock import Clock
from trading_assets.paper.gateways import BrokerError

with warnings.catch_warnings():
    # alpaca-py imports websockets.legacy, which warns; nothing here opens its streams.
    warnings.filterwarnings("ignore", "websockets.legacy", DeprecationWarning)
    from alpaca.trading.client import TradingClient

Message = Literal["submit", "modify", "cancel", "read"]
Method = Literal["POST", "PATCH", "DELETE"]

READ_ATTEMPTS = 4
# A limit that ends this second may be lifted a moment after it.
RESET_MARGIN_S = 1.0
# The limit counts minutes, so no wait for it needs to be longer.
LONGEST_WAIT_S = 65.0

_FIRST_WAIT_S = 0.5
_SHORTEST_WAIT_S = 0.001


class MessageBudget(Protocol):
    """Decides when the next message may go, below the broker's limit a minute."""

    def take(self, message: Message) -> float:
        """Take a token and return 0, or return the seconds to wait before asking again."""
        ...

    def observe(self, remaining: int, reset_seconds: float) -> None:
        """Take in what the broker says is left, and in how many seconds that is renewed."""
        ...


class Unlimited:
    """A budget without a limit."""

    def take(self, message: Message) -> float:
        """Return 0."""
        del message
        return 0.0

    def observe(self, remaining: int, reset_seconds: float) -> None:
        """Take in nothing."""


class _Requests(TradingClient):
    """alpaca-py's client, of which every request is sent once and answered with a `Reply`."""

    def prepare(self, account: AlpacaAccount, carrier: Carrier | None, patience: Patience) -> None:
        self._secrets = account.secrets
        # The constructor takes 0 and an empty list for unset.
        self._retry = 0
        self._retry_codes = []
        # A .netrc entry or proxy variable would change what is sent, and to whom.
        self._session.trust_env = False
        adapter = build_adapter(carrier, patience)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter)

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None) -> Reply:
        return cast("Reply", self._request(method, path, None if data is None else dict(data)))

    def close(self) -> None:
        self._session.close()

    def _one_request(self, method: str, url: str, opts: dict[str, Any], retry: int) -> Any:  # noqa: ANN401 # as inherited
        del retry
        request = f"{method} {url.removeprefix(str(self._base_url))}"
        try:
            response = self._session.request(method, url, **opts)
            return reply_of(request, response, self._secrets)
        except RedirectError as error:
            return reply_of(request, error.response, self._secrets)
        except requests.Timeout:
            return no_reply(request, "no answer in time")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return no_reply(request, f"a broken connection ({type(error).__name__})")
        except DataError:
            return no_reply(request, "an answer too large to read")


class AlpacaSession:
    """Requests for one account.

    Parameters
    ----------
    account : AlpacaAccount
        Address and keys.
    clock : Clock
        Waits, and tells how far the end of a limit is.
    rng : Random
        Spreads the repeats of clients that were refused at the same moment.
    budget : MessageBudget
        When the next message may go.
    carrier : callable, optional
        Answers requests instead of the network.
    patience : Patience
        Time limits of one request.
    """

    def __init__(
        self,
        account: AlpacaAccount,
        *,
        clock: Clock,
        rng: Random,
        budget: MessageBudget | None = None,
        carrier: Carrier | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self.account = account
        self._clock = clock
        self._rng = rng
        self._budget: MessageBudget = Unlimited() if budget is None else budget
        self._requests = _Requests(
            account.api_key, account.secret_key, raw_data=True, url_override=account.url
        )
        self._requests.prepare(account, carrier, patience)

    def __repr__(self) -> str:
        return f"AlpacaSession({self.account.url})"

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()

    def read(
        self, path: str, parameters: Mapping[str, str] | None = None, message: Message = "read"
    ) -> Reply:
        """Read, again after 429, 5xx, time-outs and unreadable answers.

        Parameters
        ----------
        path : str
            Below `/v2`, such as `/account`.
        parameters : mapping of str to str, optional
            Query.
        message : {'read', 'cancel'}
            What the read is made for, so that a cancel's is paid from the reserve for cancels.

        Returns
        -------
        Reply
            With status 200 and content, or 404.

        Raises
        ------
        BrokerError
            If the broker refused, or gave no usable answer in four attempts.
        """
        reply = no_reply(f"GET /v2{path}", "no answer")
        for attempt in range(READ_ATTEMPTS):
            if attempt:
                self._clock.sleep(self._wait_s(reply, attempt))
            reply = self._ask("GET", path, parameters, message)
            if not reply.may_pass:
                break
        else:
            msg = (
                f"Alpaca gave {reply.shown} to {reply.request} in {READ_ATTEMPTS} attempts;"
                " run again later"
            )
            raise BrokerError(msg)
        if reply.status not in (200, 404):
            msg = f"Alpaca refused {reply.request}: {reply.shown}; check keys and account"
            raise BrokerError(msg)
        return reply

    def write(
        self, method: Method, path: str, message: Message, body: Mapping[str, Any] | None = None
    ) -> Reply:
        """Send a change, once, and return what came back.

        Raises
        ------
        BrokerError
            If nothing was sent, as the message budget would let it go too late.
        """
        return self._ask(method, path, body, message)

    def _ask(
        self, method: str, path: str, data: Mapping[str, Any] | None, message: Message
    ) -> Reply:
        self._wait_for_token(f"{method} /v2{path}", message)
        reply = self._requests.ask(method, path, data)
        self._observe(reply)
        return reply

    def _wait_for_token(self, request: str, message: Message) -> None:
        waited_s = 0.0
        while (wait_s := self._budget.take(message)) > 0:
            wait_s = max(wait_s, _SHORTEST_WAIT_S)
            waited_s += wait_s
            if waited_s > LONGEST_WAIT_S:
                msg = (
                    f"{request} was not sent: the message budget asks to wait {waited_s:.0f} s,"
                    f" longer than {LONGEST_WAIT_S:.0f} s; run again later"
                )
                raise BrokerError(msg)
            self._clock.sleep(wait_s)

    def _observe(self, reply: Reply) -> None:
        """Tell the budget what the broker says is left: nothing after an answer 429."""
        remaining = _whole_number(reply.headers, "X-RateLimit-Remaining")
        reset_s = self._reset_s(reply)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._budget.observe(0, LONGEST_WAIT_S if reset_s is None else reset_s)
        elif remaining is not None and reset_s is not None:
            self._budget.observe(remaining, reset_s)

    def _reset_s(self, reply: Reply) -> float | None:
        """Return in how many seconds the broker's limit is renewed, or None if it does not say.

        The answer's own date counts, so that a clock that is off here changes nothing.
        """
        reset = _whole_number(reply.headers, "X-RateLimit-Reset")
        if reset is None:
            return None
        try:
            now = parsedate_to_datetime(reply.headers.get("Date", ""))
        except (ValueError, OverflowError):
            now = self._clock.now()
        return max(reset - now.timestamp() + RESET_MARGIN_S, 0.0)

    def _wait_s(self, reply: Reply, attempt: int) -> float:
        """Return the wait before the next attempt: as asked for, else doubling, with jitter."""
        wait_s = _FIRST_WAIT_S * 2.0 ** (attempt - 1)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait_s = max(wait_s, self._reset_s(reply) or 0.0)
        return min(wait_s + self._rng.uniform(0.0, _FIRST_WAIT_S), LONGEST_WAIT_S)


def _whole_number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
