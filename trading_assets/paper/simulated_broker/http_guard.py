"""What stands before the simulated broker's HTTP face: keys, the message rate, the host's name."""

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Keys:
    """The account's key pair.

    Attributes
    ----------
    key_id, secret_key : str
        Both are checked in constant time; the secret is never shown.
    """

    key_id: str
    secret_key: str = field(repr=False)

    def fit(self, key_id: str, secret_key: str) -> bool:
        """Return whether these are the account's keys."""
        is_id = hmac.compare_digest(self.key_id.encode(), key_id.encode())
        return hmac.compare_digest(self.secret_key.encode(), secret_key.encode()) and is_id


class Guard:
    """An ASGI application that lets only the account's requests through, so many a minute.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    keys : Keys
        Keys that requests have to carry; a stream shows its own after it is open.
    requests_per_minute : int
        Requests that are answered in one window of a minute; further ones get 429.
    unix_time : callable
        Seconds since 1970; a window is counted in real time, whatever the broker's clock says.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        requests_per_minute: int = 200,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._keys = keys
        self._limit = requests_per_minute
        self._unix_time = unix_time
        self._window_ends = 0.0
        self._used = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope)) or self._count()
        limits = {
            "x-ratelimit-limit": str(self._limit),
            "x-ratelimit-remaining": str(max(self._limit - self._used, 0)),
            "x-ratelimit-reset": str(int(self._window_ends)),
        }

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in limits.items():
                    headers[name] = value
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_limits)

    def _refusal(self, headers: Headers) -> Response | None:
        key_id = headers.get("apca-api-key-id", "")
        secret_key = headers.get("apca-api-secret-key", "")
        if not key_id or not secret_key:
            return _json_response(401, 40110000, "request is not authorized")
        if not self._keys.fit(key_id, secret_key):
            return _json_response(403, 40310000, "forbidden.")
        return None

    def _count(self) -> Response | None:
        now = self._unix_time()
        if now >= self._window_ends:
            self._window_ends, self._used = now + WINDOW_SECONDS, 0
        self._used += 1
        if self._used <= self._limit:
            return None
        return _json_response(429, 42910000, "rate limit exceeded")


def _json_response(status: int, code: int, message: str) -> Response:
    content = json.dumps({"code": code, "message": message})
    return Response(content, status, media_type="application/json")
