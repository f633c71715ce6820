"""Serves the simulated broker over HTTP on this machine: in a thread, or as a process of its own.

`python -m trading_assets.paper.simulated_broker.server SPEC` reads a JSON file, prints one line
with the address it listens on, and serves until it is ended.
"""

import json
import socket
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from pydantic import Field
from starlette.types import ASGIApp

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.declared import Declared
from trading_assets.paper.simulated_broker.alpaca_app import SetClock, build_app
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.http_guard import Keys
from trading_assets.paper.simulated_broker.market_file import read_market
from trading_assets.strategy import Strategy

HOST = "127.0.0.1"


class ServerSpec(Declared):
    """What a broker's process is started with."""

    book: str = Field(description="File of the broker's book.")
    market: str = Field(description="File with the market's bars, those to come among them.")
    strategy: Strategy = Field(description="Costs, position limits and initial cash.")
    key_id: str = Field(description="Key that requests have to carry.")
    secret_key: str = Field(description="Secret that requests have to carry.", repr=False)
    calendar: str = Field(default="XNYS", description="Exchange calendar.")
    port: int = Field(default=0, ge=0, le=65_535, description="Port; 0: any free one.")
    now: datetime | None = Field(
        default=None, description="Time at which a controlled clock begins; without it, real time."
    )
    requests_per_minute: int = Field(default=200, ge=1, description="More are answered with 429.")
    seed: int = Field(default=0, description="Seed of what goes wrong.")
    max_pieces: int = Field(default=1, ge=1, description="Most executions of one fill.")
    partial_share: float = Field(default=0.0, ge=0, le=1, description="Share of partial fills.")
    reject_share: float = Field(default=0.0, ge=0, le=1, description="Share of late rejects.")
    ack_seconds: float = Field(default=0.0, ge=0, description="Delay of acknowledgements.")


def build_server(spec: ServerSpec) -> ASGIApp:
    """Return the application that a process serves."""
    behaviour = Behaviour(
        spec.seed, spec.max_pieces, spec.partial_share, spec.reject_share, spec.ack_seconds
    )
    clock = _real_time if spec.now is None else SetClock(spec.now)
    broker = SimulatedBroker(
        Book(spec.book),
        spec.strategy,
        read_market(Path(spec.market)),
        get_calendar(spec.calendar),
        behaviour,
        clock,
    )
    keys = Keys(spec.key_id, spec.secret_key)
    return build_app(
        broker, keys, spec.requests_per_minute, is_controlled=isinstance(clock, SetClock)
    )


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Generator[str]:
    """Serve an application in a thread on a port of this machine; give its address."""
    listener = _listen(port)
    server = uvicorn.Server(_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        # The listener queues what comes before the server has started.
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def serve(spec: ServerSpec) -> None:
    """Serve a broker in this process until it is ended."""
    listener = _listen(spec.port)
    app = build_server(spec)
    address = {"url": f"http://{HOST}:{listener.getsockname()[1]}"}
    sys.stdout.write(json.dumps(address) + "\n")
    sys.stdout.flush()
    uvicorn.Server(_config(app)).run(sockets=[listener])


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        ws="websockets-sansio",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(128)
    return listener


def _real_time() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    serve(ServerSpec.model_validate_json(Path(sys.argv[1]).read_text()))
