"""Listens to Alpaca's order stream in a thread of its own that only puts messages into a queue.

This is a client of its own rather than alpaca-py's `TradingStream`. That one stands on the
deprecated `websockets.legacy`, waits for the sign-in without a limit, notices a silent connection
after three minutes, loses an update whose handler fails, reads prices as floats, and tells nobody
that it was away, although Alpaca does not repeat what was sent meanwhile.
"""

import json
import logging
import threading
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from trading_assets.paper.alpaca_account import AlpacaAccount
from trading_assets.paper.alpaca_updates import (
    READ_AGAIN,
    UpdateQueue,
    data_of,
    frame_of,
    update_of,
)
from trading_assets.paper.clock import Clock
from trading_assets.paper.gateways import BrokerError, Update

_LOG = logging.getLogger(__name__)
# At level DEBUG websockets writes every frame into its log, the keys of the sign-in included.
_TRANSPORT_LOG = logging.getLogger(f"{__name__}.transport")
_CLOSE_TIMEOUT_S = 1.0
_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class StreamPatience:
    """How patiently the stream waits and connects again.

    Attributes
    ----------
    answer_within_s : float
        Longest wait for the connection and for each answer of the sign-in, seconds; Alpaca itself
        closes a connection that has not signed in after ten.
    ping_every_s, pong_within_s : float
        How often the connection is asked whether it is alive, and how long for the answer, seconds.
    first_wait_s, longest_wait_s : float
        Wait before the first repeat, which doubles each time, and the longest one, seconds.
    capacity : int
        Updates that may wait to be taken.
    """

    answer_within_s: float = 10.0
    ping_every_s: float = 10.0
    pong_within_s: float = 10.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    capacity: int = 10_000


class _SignInRefusedError(Exception):
    """Keys that the stream does not accept, which no repeat would change."""


class AlpacaStream:
    """The updates of one account's orders, collected until they are taken.

    After every connection the first update is `READ_AGAIN`.

    Parameters
    ----------
    account : AlpacaAccount
        Address and keys.
    clock : Clock
        Tells how long a connection has lasted.
    rng : Random
        Spreads the repeats of clients that lost the same server.
    patience : StreamPatience
        Time limits and the size of the queue.
    """

    def __init__(
        self,
        account: AlpacaAccount,
        *,
        clock: Clock,
        rng: Random,
        patience: StreamPatience | None = None,
    ) -> None:
        self._account = account
        self._clock = clock
        self._rng = rng
        self._patience = StreamPatience() if patience is None else patience
        self._queue = UpdateQueue(self._patience.capacity)
        self._is_closed = threading.Event()
        self._is_listening = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, name="alpaca-stream", daemon=True)

    @property
    def is_listening(self) -> bool:
        """Whether updates are heard now."""
        return self._is_listening.is_set()

    def start(self) -> None:
        """Begin to listen; returns at once."""
        self._thread.start()

    def take(self) -> tuple[Update, ...]:
        """Return what came since the last call, without waiting."""
        return self._queue.take()

    def close(self) -> None:
        """Stop listening."""
        self._is_closed.set()
        socket = self._socket
        if socket is not None:
            socket.close()
        if self._thread.is_alive():
            self._thread.join(self._patience.answer_within_s + 2 * _CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        _TRANSPORT_LOG.setLevel(logging.INFO)
        repeats = 0
        while not self._is_closed.is_set():
            begun = self._clock.monotonic()
            try:
                self._listen_once()
            except _SignInRefusedError:
                _LOG.error("Alpaca's stream refused the keys; orders are only read")
                return
            except (OSError, WebSocketException, BrokerError, ValueError) as error:
                reason = type(error).__name__
            else:
                reason = "it was closed"
            finally:
                self._is_listening.clear()
                self._socket = None
            lasted_s = self._clock.monotonic() - begun
            repeats = 1 if lasted_s >= self._patience.longest_wait_s else repeats + 1
            wait_s = self._wait_s(repeats)
            if not self._is_closed.is_set():
                _LOG.warning("order stream lost (%s); again in %.1f s", reason, wait_s)
            self._is_closed.wait(wait_s)

    def _wait_s(self, repeats: int) -> float:
        patience = self._patience
        wait_s = min(patience.longest_wait_s, patience.first_wait_s * 2.0 ** min(repeats - 1, 32))
        return wait_s * self._rng.uniform(0.5, 1.0)

    def _listen_once(self) -> None:
        patience, parts = self._patience, urlsplit(self._account.stream_url)
        with connect(
            self._account.stream_url,
            # A proxy or another server, to which a redirect leads, must not see the keys: where
            # the host is given, no redirect to another one is followed.
            proxy=None,
            address=(parts.hostname, parts.port or _PORTS[parts.scheme]),
            open_timeout=patience.answer_within_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=patience.ping_every_s,
            ping_timeout=patience.pong_within_s,
            logger=_TRANSPORT_LOG,
        ) as socket:
            self._socket = socket
            self._sign_in(socket)
            # Whatever is read after this moment misses nothing that is not heard.
            self._queue.put(READ_AGAIN)
            self._is_listening.set()
            while not self._is_closed.is_set():
                self._hear(socket.recv())

    def _sign_in(self, socket: ClientConnection) -> None:
        keys = {"key_id": self._account.api_key, "secret_key": self._account.secret_key}
        socket.send(json.dumps({"action": "authenticate", "data": keys}))
        if self._answer(socket, "authorization").get("status") != "authorized":
            raise _SignInRefusedError
        wanted = {"action": "listen", "data": {"streams": ["trade_updates"]}}
        socket.send(json.dumps(wanted))
        if "trade_updates" not in (self._answer(socket, "listening").get("streams") or ()):
            msg = "Alpaca's stream does not send trade_updates; run again later"
            raise BrokerError(msg)

    def _answer(self, socket: ClientConnection, stream: str) -> dict[str, Any]:
        """Return the first message of a kind; what comes before is heard as well."""
        ends = self._clock.monotonic() + self._patience.answer_within_s
        while True:
            text = socket.recv(timeout=max(ends - self._clock.monotonic(), 0.0))
            data = data_of(frame_of(text), stream)
            if data is not None:
                return data
            self._hear(text)

    def _hear(self, text: str | bytes) -> None:
        try:
            update = update_of(frame_of(text))
        except BrokerError as error:
            _LOG.warning("a message of the order stream was not read: %s", error)
            update = READ_AGAIN
        if update is not None:
            self._queue.put(update)
