import os
import re
import socket
import threading
from datetime import date
from pathlib import Path
from typing import NoReturn

import polars as pl
import pytest

from trading_assets.bars.validation.bars import ValidatedMonths, validate_bars
from trading_assets.bars.validation.expectations import EXPECTATIONS, judge
from trading_assets.bars.validation.html_pages import EXPECTATIONS as EXPECTATIONS_PAGE
from trading_assets.bars.validation.html_pages import VALIDATION
from trading_assets.pages import DATA_DOCS_INDEX, QUARANTINE
from trading_assets_tests.bars.validation.example_clean_bars import (
    NO_ACTIONS,
    NOW,
    clean_bars,
    clean_spec,
    months_of,
)

SPEC = clean_spec(bar_length="1d")


def validated(n_bad: int) -> ValidatedMonths:
    rows = clean_bars(SPEC)
    is_bad = (pl.col("symbol") == "A") & (pl.col("session") < date(2019, 10, 1 + n_bad))
    volume = pl.when(is_bad).then(0.0).otherwise("volume")
    dirty = rows.with_columns(volume.alias("volume"))
    listed = dict.fromkeys(SPEC.universe, SPEC.start)
    return validate_bars(dirty, NO_ACTIONS, SPEC, months_of(SPEC), listed, NOW)


def words(page: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8")))


def test_data_docs_show_the_quarantine_and_every_expectation(tmp_path: Path) -> None:
    folder = tmp_path / "data_docs" / "us <daily>"
    judge(validated(3), folder, "us <daily>")
    pages = [EXPECTATIONS_PAGE, DATA_DOCS_INDEX, QUARANTINE, VALIDATION]
    assert sorted(page.name for page in folder.iterdir()) == pages
    index = words(folder / DATA_DOCS_INDEX)
    assert "Quarantine: 3 bars" in index
    assert "2019-10-01 bar_was_traded no share was traded, so the prices are no trades 3" in index
    assert "us &lt;daily&gt;" in index
    results = words(folder / VALIDATION)
    assert "because it broke the rule bar_was_traded. 3 " in results
    for expectation in EXPECTATIONS:
        if expectation.demands:
            assert expectation.description in results


def test_data_docs_refer_to_no_other_host(tmp_path: Path) -> None:
    judge(validated(1), tmp_path / "docs")
    for page in (tmp_path / "docs").iterdir():
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']*""", text)
        assert "<script" not in text
        assert "url(http" not in text
        links = re.findall(r'href="([^"#]+)"', text)
        assert all((page.parent / link).is_file() for link in links)


def test_data_docs_open_no_connection_and_leave_only_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> NoReturn:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    judge(validated(1), tmp_path / "docs")
    assert os.listdir(tmp_path) == ["docs"]  # noqa: PTH208 # names only


def test_a_later_run_replaces_the_pages_as_a_whole(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    judge(validated(2), docs)
    (docs / "stray.html").write_text("of an older version")
    judge(validated(4), docs)
    assert "Quarantine: 4 bars" in words(docs / DATA_DOCS_INDEX)
    assert not (docs / "stray.html").exists()


def test_runs_at_the_same_time_leave_one_whole_set_of_pages(tmp_path: Path) -> None:
    docs, found = tmp_path / "docs", validated(2)
    failures: list[Exception] = []

    def run() -> None:
        try:
            judge(found, docs)
        except Exception as error:  # noqa: BLE001 # reported by the test
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(docs.iterdir())) == 4
    assert os.listdir(tmp_path) == ["docs"]  # noqa: PTH208 # names only


def test_pages_that_another_run_put_there_in_the_meantime_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs, rename, rivals = tmp_path / "docs", Path.rename, [1]

    def rename_after_a_rival(self: Path, target: Path) -> Path:
        if self.name == "pages" and rivals.pop():
            rivals.append(0)
            docs.mkdir()
            (docs / "rival.html").write_text("of another run")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_after_a_rival)
    judge(validated(2), docs)
    assert not (docs / "rival.html").exists()
    assert "Quarantine: 2 bars" in words(docs / DATA_DOCS_INDEX)
