"""What a stream needs to be told: patience, keys, time, and where to connect."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from pydantic import Field
from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from trading_assets.declared import Declared
from trading_assets.errors import UserError

ALPACA_STREAM_URL = "wss://stream.data.alpaca.markets/v2"

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class StreamSettings(Declared):
    """When a streamed bar is final, and how patiently the stream waits, repeats and asks."""

    correction_window_seconds: float = Field(
        default=60.0,
        ge=0,
        description="Seconds from a bar's end until it is final; Alpaca corrects after about 30.",
    )
    answer_within_seconds: float = Field(
        default=10.0, gt=0, description="Longest wait for the connection and for the sign-in."
    )
    mute_after_seconds: float = Field(
        default=150.0, gt=0, description="Silence during a session that ends a connection."
    )
    first_wait_seconds: float = Field(
        default=1.0, gt=0, description="Wait before the first repeat; it doubles each time."
    )
    longest_wait_seconds: float = Field(
        default=30.0, gt=0, description="Longest wait before a repeat."
    )
    most_failures: int = Field(
        default=10, ge=1, description="Attempts in a row without a bar before giving up."
    )
    backfill_delay_seconds: float = Field(
        default=60.0,
        ge=0,
        description="Wait from a gap's end until the historical source has its bars.",
    )
    lookback_seconds: float = Field(
        default=300.0,
        ge=0,
        description="How far before an outage bars are asked for again, for missed corrections.",
    )
    audit_every_seconds: float = Field(
        default=300.0, gt=0, description="Time between two searches for bars that did not come."
    )
    most_backfill_attempts: int = Field(
        default=5, ge=1, description="Failed requests after which a gap is left to the next fetch."
    )
    has_halts: bool = Field(default=False, description="Whether trading halts are subscribed too.")


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """The two halves of an Alpaca key pair; they appear in no message, log or representation."""

    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Timing:
    """What time it is and how it passes.

    Attributes
    ----------
    clock : callable
        Returns the aware present moment.
    sleep : callable
        Waits a number of seconds of that clock.
    rng : Random
        Spreads the repeats of clients that lost the same server.
    """

    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    rng: Random


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where to connect and what to ask for: channel to symbols."""

    url: str
    keys: StreamKeys
    channels: Mapping[str, Sequence[str]]


async def first_of(*works: Awaitable[Any]) -> None:
    """Return or raise what the first of `works` to end does, and cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # If several are done, the first listed one counts.
        next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def require_encryption(url: str) -> None:
    """Refuse an address to which keys would travel unencrypted, except on this machine.

    Raises
    ------
    UserError
        If `url` is no websocket address, or `ws://` to another machine.
    """
    try:
        address = parse_uri(url)
    except InvalidURI:
        msg = "the stream's url is no websocket address; expected wss://host/path"
        raise UserError(msg) from None
    if not address.secure and address.host not in _LOOPBACK:
        msg = (
            f"the stream's url sends keys unencrypted to {address.host}; expected wss://, since"
            " ws:// is only for this machine"
        )
        raise UserError(msg)
