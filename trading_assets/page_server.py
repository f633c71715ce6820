"""Serves reports and Data Docs of the data folder to a browser on the same machine."""

import io
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote

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
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        msg = f"port {port} cannot be served ({reason}); choose another with --port"
        raise UserError(msg) from error


def is_served(target: str) -> bool:
    """Return whether a request's target names a page: a known suffix in a served folder."""
    return bool(_page_parts(target))


def served_file(data: Path, target: str) -> Path | None:
    """Return the page that a request's target names, or None if there is none.

    Parameters
    ----------
    data : Path
        Data folder.
    target : str
        As it stands in the request, percent-encoded once. A part that is empty or begins with a
        dot, a NUL, and a link that leads out of its served folder name no page.
    """
    parts = _page_parts(target)
    if not parts:
        return None
    folder = data / parts[0]
    try:
        file = folder.joinpath(*parts[1:]).resolve()
        is_page = file.is_relative_to(folder.resolve()) and file.is_file()
    except (OSError, RuntimeError):
        # Names that are too long, and links that lead to themselves.
        return None
    return file if is_page else None


def _page_parts(target: str) -> list[str]:
    path = target.partition("?")[0].partition("#")[0]
    try:
        root, *parts = unquote(path, errors="strict").split("/")
    except UnicodeDecodeError:
        return []
    is_plain = not root and all(part and part[0] != "." and "\0" not in part for part in parts)
    if not is_plain or len(parts) < 2 or parts[0] not in SERVED_FOLDERS:
        return []
    return parts if PurePosixPath(parts[-1]).suffix in SERVED_SUFFIXES else []


class _PagesHandler(SimpleHTTPRequestHandler):
    def send_head(self) -> io.BytesIO | BinaryIO | None:
        # A foreign host name on loopback is another site that resolves to this machine.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in (LOOPBACK, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN, "Only requests to this machine are answered")
            return None
        if served_file(Path(self.directory), self.path) is None:
            self.send_error(HTTPStatus.NOT_FOUND, "Reports and Data Docs only")
            return None
        return super().send_head()

    def translate_path(self, path: str) -> str:
        """Return the page, as `served_file` reads the path; nothing else decides what is sent."""
        return str(served_file(Path(self.directory), path) or "")

    def log_message(self, format: str, *args: object) -> None:  # the library's name
        """Stay silent: the server shares a terminal with Dagster."""
