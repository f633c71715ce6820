"""Reports and Data Docs are served to this machine, and nothing else is."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from trading_assets.errors import UserError
from trading_assets.page_server import is_served, pages_server
from trading_assets.pages import page_url

REPORT = "lake/us_equities/backtest/walk_forward_report/part-1.html"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / REPORT).parent.mkdir(parents=True)
    (tmp_path / REPORT).write_text("<p>verdict</p>", encoding="utf-8")
    (tmp_path / "manifest.sqlite").write_text("secret", encoding="utf-8")
    return tmp_path


@pytest.fixture
def port(data: Path) -> Iterator[int]:
    with pages_server(data, 0) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_a_report_is_served_at_its_address(data: Path, port: int) -> None:
    address = page_url(f"http://127.0.0.1:{port}", data, data / REPORT)
    path = address.removeprefix(f"http://127.0.0.1:{port}")
    assert get(port, path) == (200, "<p>verdict</p>")


@pytest.mark.parametrize(
    "path",
    [
        "/manifest.sqlite",
        "/lake/",
        "/",
        "/../secret.html",
        "/lake/..%2f..%2fx.html",
        "/lake/.a.html",
    ],
)
def test_nothing_else_is_served(port: int, path: str) -> None:
    assert get(port, path)[0] == 404


def test_a_foreign_host_name_is_refused(port: int) -> None:
    assert get(port, f"/{REPORT}", host="rebound.example")[0] == 403


@pytest.mark.parametrize("target", ["/lake/a/../../x.html", "/data_docs/%2e%2e/x.html"])
def test_a_path_that_climbs_is_no_page(target: str) -> None:
    assert not is_served(target)


def test_a_taken_port_is_a_clear_error(data: Path, port: int) -> None:
    with pytest.raises(UserError, match=f"port {port} cannot be served .* choose another"):
        pages_server(data, port)
