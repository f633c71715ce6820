"""Keeps one websocket to Alpaca's market-data stream open: sign-in, silence, refusals, repeats.

This is a client of its own rather than alpaca-py's `StockDataStream`. That one stands on the
deprecated `websockets.legacy`, waits for the sign-in without a limit, repeats a refused sign-in for
ever, drops the rest of a frame when a message or a handler fails, and tells nobody that it was
away, so that nobody could ask for what was missed.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from trading_assets.bars.stream.messages import Frame, parse_frame
from trading_assets.bars.stream.refusals import LostConnectionError, stream_error
from trading_assets.bars.stream.settings import (
    StreamSettings,
    Subscription,
    Timing,
    first_of,
    require_encryption,
)
from trading_assets.errors import DataError, UserError

_LOG = logging.getLogger(__name__)
# At level DEBUG websockets writes every frame into its log, the keys of the sign-in included.
_TRANSPORT_LOG = logging.getLogger(f"{__name__}.transport")
_MAX_FRAME_BYTES = 16 << 20
_CLOSE_TIMEOUT_S = 1.0
_NAMED = 5


class _DirectConnect(connect):
    """A connection that follows no redirect, since the keys are for the declared server only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class StreamConnection:
    """Connects, and connects again, until it is cancelled or refused.

    Parameters
    ----------
    subscription, settings, timing
        Where, how patiently and by which clock.
    is_trading : callable
        Whether bars are due at a moment; silence at other times is no fault.
    on_frame : callable
        Takes a frame and its arrival. It must only note them, so that the server is not kept
        waiting; it drops slow clients.
    on_subscribed : callable
        Takes the moment from which on bars are heard (again).

    Attributes
    ----------
    is_subscribed : bool
        Whether bars are heard now.
    reconnects, mutes : int
        Connections lost so far, and how many of them had fallen silent.

    Raises
    ------
    UserError
        If keys would travel unencrypted to another machine.
    """

    def __init__(
        self,
        subscription: Subscription,
        settings: StreamSettings,
        timing: Timing,
        *,
        is_trading: Callable[[datetime], bool],
        on_frame: Callable[[Frame, datetime], None],
        on_subscribed: Callable[[datetime], None],
    ) -> None:
        require_encryption(subscription.url)
        self.is_subscribed = False
        self.reconnects = 0
        self.mutes = 0
        self._subscription = subscription
        self._settings = settings
        self._timing = timing
        self._is_trading = is_trading
        self._on_frame = on_frame
        self._on_subscribed = on_subscribed
        self._has_heard = False
        self._subscribed_at: datetime | None = None
        self._last_heard = timing.clock()
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        """Listen for ever.

        Raises
        ------
        UserError
            If Alpaca refuses the keys, the feed or the symbols, which no repeat would change.
        DataError
            If too many attempts in a row failed.
        """
        _TRANSPORT_LOG.setLevel(logging.INFO)
        failures = repeats = 0
        while True:
            self._has_heard = False
            self._subscribed_at = None
            try:
                await self._listen_once()
            except LostConnectionError as lost:
                self.reconnects += 1
                self.mutes += lost.is_mute
                # Nights are quiet and a thin market looks mute: neither must end the stream.
                has_lasted = lost.is_mute or self._has_lasted()
                repeats = 1 if has_lasted else repeats + 1
                failures = 0 if has_lasted or self._has_heard else failures + 1
                if failures >= self._settings.most_failures:
                    msg = (
                        f"{failures} attempts in a row to stream from {self._host} failed, the"
                        f" last because {lost}; {lost.remedy}"
                    )
                    raise DataError(msg) from None
                wait_s = self._wait_s(repeats)
                _LOG.warning("stream lost because %s; again in %.1f s", lost, wait_s)
                await self._timing.sleep(wait_s)

    @property
    def _host(self) -> str:
        return urlsplit(self._subscription.url).hostname or ""

    def _has_lasted(self) -> bool:
        if self._subscribed_at is None:
            return False
        lasted_s = (self._timing.clock() - self._subscribed_at).total_seconds()
        return lasted_s >= self._settings.longest_wait_seconds

    def _wait_s(self, repeats: int) -> float:
        longest = self._settings.longest_wait_seconds
        wait_s = min(longest, self._settings.first_wait_seconds * 2 ** min(repeats - 1, 32))
        return wait_s * self._timing.rng.uniform(0.5, 1.0)

    async def _listen_once(self) -> None:
        try:
            await self._within(self._settings.answer_within_seconds, self._open())
            await self._within(self._settings.answer_within_seconds, self._sign_in())
            self._subscribed_at = self._timing.clock()
            self._on_subscribed(self._subscribed_at)
            self.is_subscribed = True
            await self._receive()
        except InvalidStatus as error:
            raise _not_a_stream(error.response.status_code, self._host) from None
        except (OSError, WebSocketException) as error:
            reason = f"the connection broke or was refused ({type(error).__name__})"
            raise LostConnectionError(reason) from None
        finally:
            self.is_subscribed = False
            if self._socket is not None:
                await self._socket.close()
                self._socket = None

    async def _open(self) -> None:
        self._socket = await _DirectConnect(
            self._subscription.url,
            open_timeout=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_size=_MAX_FRAME_BYTES,
            logger=_TRANSPORT_LOG,
        )

    async def _sign_in(self) -> None:
        keys, channels = self._subscription.keys, self._subscription.channels
        while "connected" not in (await self._next_frame()).greetings:
            pass
        await self._send({"action": "auth", "key": keys.api_key, "secret": keys.secret_key})
        while "authenticated" not in (await self._next_frame()).greetings:
            pass
        wanted = {channel: list(symbols) for channel, symbols in channels.items()}
        await self._send({"action": "subscribe", **wanted})
        while (confirmed := (await self._next_frame()).subscribed) is None:
            pass
        for channel, symbols in channels.items():
            refused = sorted(set(symbols) - confirmed.get(channel, frozenset()))
            if refused:
                msg = (
                    f"Alpaca did not subscribe {', '.join(refused[:_NAMED])} to {channel}; correct"
                    " the universe, or choose a plan that streams more symbols"
                )
                raise UserError(msg)

    async def _receive(self) -> None:
        """Read until the connection is lost; a separate watch looks for silence."""
        await first_of(self._read_all(), self._watch_silence())

    async def _read_all(self) -> None:
        while True:
            await self._next_frame()

    async def _watch_silence(self) -> None:
        mute_s = self._settings.mute_after_seconds
        self._last_heard = self._timing.clock()
        while True:
            await self._timing.sleep(mute_s / 4)
            now = self._timing.clock()
            if not self._is_trading(now):
                self._last_heard = now
            elif (now - self._last_heard).total_seconds() >= mute_s:
                reason = f"nothing came for {mute_s:g} s although bars are due"
                raise LostConnectionError(reason, is_mute=True)

    async def _next_frame(self) -> Frame:
        """Return the next frame after handing it over: bars may come at any moment."""
        assert self._socket is not None
        frame = parse_frame(await self._socket.recv())
        arrival = self._timing.clock()
        if frame.has_market_data:
            self._has_heard = True
            self._last_heard = arrival
        self._on_frame(frame, arrival)
        for code in frame.error_codes:
            raise stream_error(code)
        return frame

    async def _send(self, message: Mapping[str, Any]) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps(message))

    async def _within(self, limit_s: float, work: Awaitable[None]) -> None:
        await first_of(work, self._give_up(limit_s))

    async def _give_up(self, limit_s: float) -> None:
        await self._timing.sleep(limit_s)
        reason = f"it did not complete the sign-in within {limit_s:g} s"
        raise LostConnectionError(reason)


def _not_a_stream(status: int, host: str) -> Exception:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        msg = (
            f"{host} redirects the stream to another address (status {status}), where no key is"
            " sent; set the stream's url to the address that answers"
        )
        return UserError(msg)
    return LostConnectionError(f"{host} answered with status {status} instead of a stream")
