"""The simulated broker's stream in Alpaca's dialect: authenticate, listen, order messages.

As at the broker, what happens while nobody listens is not told later.
"""

import asyncio
import contextlib
import json
from collections.abc import Generator, Sequence
from typing import cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from trading_assets.paper.simulated_broker.alpaca_answers import Json
from trading_assets.paper.simulated_broker.alpaca_face import AlpacaFace
from trading_assets.paper.simulated_broker.booked import BookedUpdate
from trading_assets.paper.simulated_broker.http_guard import Keys

STREAM = "trade_updates"
_TICK_SECONDS = 0.05
_UNAUTHORIZED = 1008


class Hub:
    """Hands messages of the book's stream to everyone who listens.

    Parameters
    ----------
    face : AlpacaFace
        The broker.
    """

    def __init__(self, face: AlpacaFace) -> None:
        self._face = face
        self._told = face.book.last_update()
        self._listeners: set[asyncio.Queue[Json]] = set()

    def publish(self) -> None:
        """Hand on what has happened since the last call."""
        updates = self._face.book.updates_after(self._told)
        if updates:
            self._told = updates[-1].number
        for message in self._messages(updates) if self._listeners else ():
            for queue in self._listeners:
                queue.put_nowait(message)

    @contextlib.contextmanager
    def listening(self) -> Generator[asyncio.Queue[Json]]:
        """Return a queue of messages from now on."""
        queue: asyncio.Queue[Json] = asyncio.Queue()
        self.publish()
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def _messages(self, updates: Sequence[BookedUpdate]) -> list[Json]:
        return [self._face.update_json(update) for update in updates]


async def serve_stream(socket: WebSocket, face: AlpacaFace, hub: Hub, keys: Keys) -> None:
    """Talk with one listener until one side hangs up."""
    await socket.accept()
    try:
        if not await _authenticate(socket, keys):
            await socket.close(_UNAUTHORIZED)
            return
        await _listen(socket)
        with hub.listening() as queue:
            await _send(socket, {"stream": "listening", "data": {"streams": [STREAM]}})
            await _pump(socket, face, hub, queue)
    except (WebSocketDisconnect, ValueError):
        return


async def _pump(socket: WebSocket, face: AlpacaFace, hub: Hub, queue: asyncio.Queue[Json]) -> None:
    """Send messages until the listener hangs up, which only reading tells."""
    reading = asyncio.ensure_future(socket.receive())
    try:
        while True:
            waiting = asyncio.ensure_future(queue.get())
            done, _ = await asyncio.wait(
                {reading, waiting}, timeout=_TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting in done:
                await _send(socket, waiting.result())
            else:
                waiting.cancel()
                face.advance()
                hub.publish()
            if reading in done:
                if reading.result()["type"] == "websocket.disconnect":
                    return
                reading = asyncio.ensure_future(socket.receive())
    finally:
        reading.cancel()


async def _authenticate(socket: WebSocket, keys: Keys) -> bool:
    asked = await _read(socket)
    # Both forms are in use: keys in `data`, and keys beside the action.
    data = cast("Json", asked.get("data") or {})
    key_id = str(data.get("key_id") or asked.get("key") or "")
    secret_key = str(data.get("secret_key") or asked.get("secret") or "")
    is_known = asked.get("action") in ("authenticate", "auth") and keys.fit(key_id, secret_key)
    status = "authorized" if is_known else "unauthorized"
    answer = {"status": status, "action": "authenticate"}
    await _send(socket, {"stream": "authorization", "data": answer})
    return is_known


async def _listen(socket: WebSocket) -> None:
    while True:
        asked = await _read(socket)
        streams = cast("Json", asked.get("data") or {}).get("streams")
        if asked.get("action") == "listen" and isinstance(streams, list) and STREAM in streams:
            return
        await _send(socket, {"stream": "listening", "data": {"streams": []}})


async def _read(socket: WebSocket) -> Json:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    content = message.get("text") or message.get("bytes") or b""
    asked: object = json.loads(content)
    if not isinstance(asked, dict):
        msg = f"a message was a {type(asked).__name__}; expected an object"
        raise ValueError(msg)
    return cast("Json", asked)


async def _send(socket: WebSocket, message: Json) -> None:
    # The paper stream sends binary frames.
    await socket.send_bytes(json.dumps(message).encode())
