"""Which account of Alpaca is traded: its address and keys, paper unless live is permitted too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from trading_assets.bars.alpaca.keys import read_keys
from trading_assets.errors import UserError

PAPER_URL = "https://paper-api.alpaca.markets"
LIVE_URL = "https://api.alpaca.markets"

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class AlpacaAccount:
    """An address that was checked, and the keys for it.

    Attributes
    ----------
    url : str
        Base URL without a path.
    api_key, secret_key : str
        They appear in no representation; they travel in headers and in the stream's sign-in.
    """

    url: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def is_live(self) -> bool:
        """Whether real money is behind the address."""
        return self.url == LIVE_URL

    @property
    def stream_url(self) -> str:
        """Address of the stream of order updates."""
        return f"ws{self.url.removeprefix('http')}/stream"

    @property
    def secrets(self) -> tuple[str, str]:
        """Texts that must stand in no message."""
        return self.api_key, self.secret_key


def choose_account(
    credentials: Mapping[str, str], base_url: str = PAPER_URL, *, permits_live: bool = False
) -> AlpacaAccount:
    """Return the account at an address.

    Parameters
    ----------
    credentials : mapping of str to str
        `ALPACA_API_KEY` and `ALPACA_SECRET_KEY` of the account.
    base_url : str
        Alpaca's paper or live address, or an `http` address of this machine for tests.
    permits_live : bool
        Second switch without which the live address is refused.

    Raises
    ------
    MissingKeyError
        If a key is absent or empty.
    UserError
        If the address is none of these, or live without the switch, or a key cannot be one.
    """
    url = _checked(base_url, permits_live=permits_live)
    return AlpacaAccount(url, *read_keys(credentials, "the alpaca gateway"))


def _checked(base_url: str, *, permits_live: bool) -> str:
    url = base_url.removesuffix("/")
    if url == LIVE_URL and not permits_live:
        msg = (
            f"Alpaca base URL was {LIVE_URL}, which trades real money; expected {PAPER_URL} unless"
            " live trading is declared and permitted by the environment as well"
        )
        raise UserError(msg)
    if url in (PAPER_URL, LIVE_URL) or _is_this_machine(url):
        return url
    msg = (
        f"Alpaca base URL was {_shown(base_url)}; expected {PAPER_URL}, or an http address of this"
        " machine without user or path"
    )
    raise UserError(msg)


def _is_this_machine(url: str) -> bool:
    parts = _split(url)
    if parts is None or parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        return False
    return url == f"http://{parts.netloc}" and parts.username is None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _shown(url: str) -> str:
    """Return an address without what may be a password in it."""
    parts = _split(url)
    host = None if parts is None else parts.hostname
    return (
        repr(f"{parts.scheme}://{host}/"[:80]) if parts is not None and host else "no web address"
    )
