"""The simulated broker's HTTP face as an ASGI application."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from trading_assets.paper.simulated_broker.alpaca_face import AlpacaFace, Reply, refused
from trading_assets.paper.simulated_broker.alpaca_lists import (
    get_activities,
    get_asset,
    get_calendar,
    get_clock,
)
from trading_assets.paper.simulated_broker.alpaca_stream import Hub, serve_stream
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.http_guard import Guard, Keys
from trading_assets.paper.simulated_broker.rules import Refusal

HOSTS = ("127.0.0.1", "localhost")
_MOST_BYTES = 65_536

Answering = Callable[[Request, object], Reply]


class SetClock:
    """A clock that stands still until it is set; it never goes back.

    Parameters
    ----------
    now : datetime
        Aware.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time now."""
        return self.now

    def move(self, to: datetime) -> None:
        """Move to a later time."""
        self.now = max(self.now, to)


def build_app(
    broker: SimulatedBroker,
    keys: Keys,
    requests_per_minute: int = 200,
    *,
    is_controlled: bool = False,
) -> ASGIApp:
    """Return a broker as an ASGI application in Alpaca's dialect.

    Parameters
    ----------
    broker : SimulatedBroker
        The broker; it has a clock.
    keys : Keys
        Keys that requests have to carry.
    requests_per_minute : int
        Requests above it are answered with 429.
    is_controlled : bool
        Whether `POST /control/clock` with `{"now": ...}` moves a `SetClock`; for tests and drills.
    """
    face = AlpacaFace(broker)
    hub = Hub(face)
    answering: dict[tuple[str, str], Answering] = {
        ("POST", "/v2/orders"): lambda request, body: face.post_order(body),
        ("GET", "/v2/orders"): lambda request, body: face.get_orders(_query(request)),
        ("DELETE", "/v2/orders"): lambda request, body: face.delete_orders(),
        ("GET", "/v2/orders:by_client_order_id"): lambda request, body: face.get_order_by_client_id(
            _query(request).get("client_order_id", "")
        ),
        ("GET", "/v2/orders/{key}"): lambda request, body: face.get_order(_key(request)),
        ("DELETE", "/v2/orders/{key}"): lambda request, body: face.delete_order(_key(request)),
        ("GET", "/v2/account"): lambda request, body: face.get_account(),
        ("GET", "/v2/account/configurations"): lambda request, body: face.get_configurations(),
        ("PATCH", "/v2/account/configurations"): lambda request, body: face.patch_configurations(
            body
        ),
        ("GET", "/v2/account/activities"): lambda request, body: get_activities(
            broker, _query(request)
        ),
        ("GET", "/v2/account/activities/{key}"): lambda request, body: get_activities(
            broker, {**_query(request), "activity_types": _key(request)}
        ),
        ("GET", "/v2/positions"): lambda request, body: face.get_positions(),
        ("GET", "/v2/clock"): lambda request, body: get_clock(broker),
        ("GET", "/v2/calendar"): lambda request, body: get_calendar(broker, _query(request)),
        ("GET", "/v2/assets/{key}"): lambda request, body: get_asset(broker, _key(request)),
    }
    if is_controlled:
        answering[("POST", "/control/clock")] = lambda request, body: _move_clock(broker, body)
    routes = [
        Route(path, _endpoint(answer, face, hub), methods=[method])
        for (method, path), answer in answering.items()
    ]

    async def stream(socket: WebSocket) -> None:
        await serve_stream(socket, face, hub, keys)

    # A foreign Host means that a page's script has been led here.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[*HOSTS])
    app = Starlette(routes=[*routes, WebSocketRoute("/stream", stream)], middleware=[hosts])
    return Guard(app, keys, requests_per_minute)


def _endpoint(
    answer: Answering, face: AlpacaFace, hub: Hub
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        content = await request.body()
        body: object = None
        if content:
            try:
                body = json.loads(content) if len(content) <= _MOST_BYTES else None
            except ValueError:
                body = None
        face.advance()
        reply = answer(request, body)
        hub.publish()
        if reply.body is None:
            return Response(status_code=reply.status)
        return Response(json.dumps(reply.body), reply.status, media_type="application/json")

    return endpoint


def _query(request: Request) -> Mapping[str, str]:
    """Return the parameters; one that comes several times as a list with commas."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _key(request: Request) -> str:
    return str(request.path_params["key"])


def _move_clock(broker: SimulatedBroker, body: object) -> Reply:
    asked = body.get("now") if isinstance(body, dict) else None
    try:
        to = datetime.fromisoformat(str(asked))
    except ValueError:
        to = None
    if to is None or to.tzinfo is None or not isinstance(broker.clock, SetClock):
        return refused(Refusal(422, 42210000, "now was no time with a zone"))
    broker.clock.move(to)
    AlpacaFace(broker).advance()
    return get_clock(broker)
