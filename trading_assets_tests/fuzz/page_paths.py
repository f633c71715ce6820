"""Requests to the page server: a page of a served folder, or nothing, whatever the path says."""

import socket
import string
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import quote

from hypothesis import strategies as st

from trading_assets.page_server import pages_server
from trading_assets_tests.fuzz.harness import SECRET, Check, Counts, Target
from trading_assets_tests.fuzz.material import texts

PAGES = (
    "lake/us/backtest/report/part-1.html",
    "lake/us/backtest/report/a%b.html",
    "lake/a b.html",
    "lake/BRK.B.html",
    "lake/\N{LATIN SMALL LETTER E WITH ACUTE}.html",
    "data_docs/us_daily/index.html",
    "data_docs/us_daily/style.css",
    "lake/x.json",
)
_SECRETS = (
    "manifest.sqlite",
    "secret.html",
    "dagster/lake/x.html",
    "lake/.hidden.html",
    "lake/.tmp/x.html",
    "lake/rows.parquet",
    "data_docs/notes.txt",
    "catalog.duckdb",
    "declarations/lake/data_docs/index.html",
)
_SUFFIXES = {"html", "png", "css", "js", "svg", "json", "woff", "woff2"}
_HEXADECIMAL = set(string.hexdigits)


def referee(target: str) -> str | None:
    """Return the page that a request's target names, or None; read character by character."""
    path = target.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        return None
    # The server collapses slashes at the beginning, as their first name could be taken for a host.
    decoded = _decoded(path.lstrip("/"))
    if decoded is None or decoded.endswith("/"):
        return None
    return decoded if decoded in PAGES else None


def _decoded(text: str) -> str | None:
    found = bytearray()
    while text:
        if text[0] == "%" and set(text[1:3]) <= _HEXADECIMAL and len(text) > 2:
            found.append(int(text[1:3], 16))
            text = text[3:]
        else:
            found += text[0].encode("utf-8", "surrogatepass")
            text = text[1:]
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError:
        return None


@contextmanager
def _open(folder: Path) -> Generator[Check]:
    data = folder / "data"
    for name in (*PAGES, *_SECRETS):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"page {name}" if name in PAGES else SECRET, encoding="utf-8")
    (data / "lake" / "link.html").symlink_to(data / "secret.html")
    (data / "lake" / "elsewhere").symlink_to(folder.parent / "outside")
    (data / "lake" / "folder.html").mkdir()
    (data / "lake" / "folder.html" / "x.txt").write_text(SECRET, encoding="utf-8")
    with pages_server(data, 0) as server:
        server.timeout = 5
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:

            def check(target: str, counts: Counts) -> None:
                page = referee(target)
                counts.add(accepted=page is not None)
                status, body = _get(server.server_address[1], target)
                assert SECRET.encode() not in body, target[:80]
                assert (status == 200) == (page is not None), f"{status} {target[:80]!r}"
                assert page is None or body.endswith(f"page {page}".encode())
                assert status in (200, 400, 404, 414), status

            yield check
        finally:
            server.shutdown()
            thread.join()


def _get(port: int, target: str) -> tuple[int, bytes]:
    """Send a target as it is, which no client library does, and return status and answer."""
    line = f"GET {target} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(line.encode("utf-8", "surrogatepass"))
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/"), f"no answer to {target[:80]!r}"
    return int(head.split()[1]), head + body


def _raw(text: str) -> str:
    """Return a text as it can stand in a request's line: no space, no line end."""
    kept = "".join(c for c in text if c.isascii() and c.isprintable() and c != " ")
    return kept[:2_000]


_steps = st.sampled_from(
    ("..", ".", "", "%2e%2e", "%2E.", "%252e%252e", "..%2f", "%5c..", "%00", "%ff", "~", "lake",
     "data_docs", "dagster", "secret.html", "manifest.sqlite", "link.html", "elsewhere", "x.html",
     "folder.html", ".hidden.html", "%2ehidden.html", "rows.parquet", "rows.parquet%3f.html",
     "etc", "passwd", "us", "x.json", "a" * 300 + ".html", "%C0%AE%C0%AE", "\\..\\")
)  # fmt: skip
_served = st.sampled_from(PAGES).map(lambda name: "/" + quote(name))
_encoded = st.builds(
    lambda name, chosen: (
        "/"
        + "".join(
            chr(byte)
            if byte in b"/abcdefghijklmnopqrstuvwxyz" and chosen >> place & 1
            else f"%{byte:02x}"
            for place, byte in enumerate(name.encode())
        )
    ),
    st.sampled_from(PAGES),
    st.integers(0, 2**40),
)
_targets = st.one_of(
    _served,
    _encoded,
    st.builds(str.__add__, _served, st.sampled_from(("?a=..", "#x", "?x=%00"))),
    _encoded,
    st.builds(str.__add__, _served, st.sampled_from(("", "?a=..", "#x", "/", ";x", "%20", "%00"))),
    st.builds(
        lambda head, steps, page: head + "/".join([*steps, page.lstrip("/")]),
        st.sampled_from(("/", "//", "", "http://127.0.0.1/", "/../", "//[", "file:///")),
        st.lists(_steps, max_size=4),
        st.one_of(_served, _steps),
    ),
    texts().map(lambda text: "/lake/" + quote(text, errors="surrogatepass") + ".html"),
    texts().map(_raw).filter(bool),
)

TARGET = Target(
    "page_paths",
    _targets.filter(bool),
    _open,
    quick=150,
    full=6_000,
    pinned=(
        "/lake/%00/lake/x.json",
        "/lake/.hidden.html",
        "/lake/%2etmp/x.html",
        "dagster/lake/x.html",
        "//[",
        "/lake/link.html",
        "/lake/%2e%2e/secret.html",
        "http://127.0.0.1/lake/x.json",
        "/lake/" + "a" * 300 + ".html",
        "/./lake/x.json",
    ),
)
