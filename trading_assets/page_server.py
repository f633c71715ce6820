"""Serves reports and Data Docs of the data folder to a browser on the same machine."""

import io
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from trading_assets.errors import UserError
from trading_assets.pages import DATA_DOCS

SERVED_SUFFIXES = (".html", ".png", ".css", ".js", ".svg", ".json", ".woff", ".woff2")
SERVED_FOLDERS = (DATA_DOCS, "lake")
LOOPBACK = "127.0.0.1"


def pages_server(data: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of the pages below `data` on loopback, not yet serving.

    Raises
    ------
    UserError
        If the port is taken.
    """
    handler = partial(_PagesHandler, directory=str(data))
    try:
        return ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError as error:
        msg = f"port {port} cannot be served ({error.strerror}); choose another with --port"
        raise UserError(msg) from error


def is_served(target: str) -> bool:
    """Return whether a request's path names a page: a known suffix in a served folder."""
    path = PurePosixPath(unquote(urlsplit(target).path))
    parts = path.parts[1:]
    is_plain = bool(parts) and not any(part.startswith(".") for part in parts)
    return is_plain and parts[0] in SERVED_FOLDERS and path.suffix in SERVED_SUFFIXES


class _PagesHandler(SimpleHTTPRequestHandler):
    def send_head(self) -> io.BytesIO | BinaryIO | None:
        # A foreign host name on loopback is another site that resolves to this machine.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in (LOOPBACK, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN, "Only requests to this machine are answered")
            return None
        if not is_served(self.path):
            self.send_error(HTTPStatus.NOT_FOUND, "Reports and Data Docs only")
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:  # the library's name
        """Stay silent: the server shares a terminal with Dagster."""
