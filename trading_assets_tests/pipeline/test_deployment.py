"""The files of the deployment agree with each other and with the checkout's."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import make_url

from trading_assets.declared import Profile
from trading_assets.pipeline import settings

ROOT = Path(__file__).parents[2]
DAGSTER_SERVICES = ("code", "webserver", "daemon")
VARIABLES = {
    "DAGSTER_PG_HOST": "postgres",
    "DAGSTER_PG_USERNAME": "dagster",
    "DAGSTER_PG_PASSWORD": "p@ss/word",
    "DAGSTER_PG_DB": "dagster",
}


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def variables_of(values: Any) -> Iterator[str]:
    """Find every `{env: NAME}` in a configuration."""
    if isinstance(values, dict):
        if set(values) == {"env"}:
            yield values["env"]
        for value in values.values():
            yield from variables_of(value)
    elif isinstance(values, list):
        for value in values:
            yield from variables_of(value)


def resolved(values: Any) -> Any:
    if isinstance(values, dict):
        if set(values) == {"env"}:
            return VARIABLES[values["env"]]
        return {key: resolved(value) for key, value in values.items()}
    return values


def without_places(config: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says where things are stored, which is all that may differ."""
    kept = {key: value for key, value in config.items() if key != "storage"}
    for key in ("local_artifact_storage", "compute_logs"):
        kept[key] = {**kept[key], "config": sorted(kept[key]["config"])}
    return kept


def test_the_deployed_instance_is_the_checkouts_but_for_its_places() -> None:
    assert without_places(read("docker/dagster.yaml")) == without_places(read("dagster.yaml"))


def test_the_deployed_instance_lies_where_the_image_keeps_its_data() -> None:
    config = read("docker/dagster.yaml")
    folder = re.search(r"TRADING_ASSETS_DATA=(\S+)", (ROOT / "docker/Dockerfile").read_text())
    assert folder is not None
    for key in ("local_artifact_storage", "compute_logs"):
        assert config[key]["config"]["base_dir"].startswith(f"{folder[1]}/")


def test_the_address_of_the_database_names_the_driver_that_is_installed() -> None:
    config = resolved(read("docker/dagster.yaml")["storage"]["postgres"])
    url = make_url(pg_url_from_config(config))
    assert url.get_dialect().driver == "psycopg2"
    assert (url.host, url.port, url.database) == ("postgres", 5432, "dagster")
    assert (url.username, url.password) == ("dagster", "p@ss/word")


@pytest.mark.parametrize("service", [*DAGSTER_SERVICES, "mlflow"])
def test_a_service_is_given_every_variable_that_its_configuration_needs(service: str) -> None:
    given = read("docker/compose.yaml")["services"][service]["environment"]
    needed = set(variables_of(read("docker/dagster.yaml")))
    assert needed == set(VARIABLES)
    assert needed <= set(given)


@pytest.mark.parametrize("service", DAGSTER_SERVICES)
def test_a_service_is_given_what_the_settings_read(service: str) -> None:
    given = read("docker/compose.yaml")["services"][service]["environment"]
    known = {settings.DATA, settings.DEFS, settings.PROFILE, settings.ONLY, settings.MANIFEST_URL}
    assert {name for name in given if name.startswith("TRADING_ASSETS_")} <= known
    assert given[settings.PROFILE] in get_args(Profile)
    assert set(settings.CREDENTIALS) <= set(given)
    assert make_url(given[settings.MANIFEST_URL]).get_dialect().driver == "psycopg2"


def test_every_database_that_is_used_is_created() -> None:
    services = read("docker/compose.yaml")["services"]
    made = services["postgres"]["environment"]
    created = re.findall(
        r"CREATE DATABASE (\w+)", (ROOT / "docker/create_databases.sql").read_text()
    )
    code = services["code"]["environment"]
    assert (code["DAGSTER_PG_USERNAME"], code["DAGSTER_PG_DB"], code["DAGSTER_PG_HOST"]) == (
        made["POSTGRES_USER"],
        made["POSTGRES_DB"],
        "postgres",
    )
    urls = re.findall(r"postgresql\+psycopg2://\S+", (ROOT / "docker/compose.yaml").read_text())
    assert {url.rsplit("/", 1)[1] for url in urls} == set(created)


def test_webserver_and_daemon_find_the_code_server() -> None:
    (server,) = [entry["grpc_server"] for entry in read("docker/workspace.yaml")["load_from"]]
    command = (ROOT / "docker/Dockerfile").read_text().split("CMD", 1)[1]
    assert server["host"] in read("docker/compose.yaml")["services"]
    assert f'"-p", "{server["port"]}"' in command
    # Runs that the driver records stand under the location of this name.
    (module,) = [entry["python_module"] for entry in read("workspace.yaml")["load_from"]]
    assert server["location_name"] == module["location_name"]


def test_no_port_is_published_beyond_this_machine() -> None:
    for name, service in read("docker/compose.yaml")["services"].items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), (name, port)


def test_the_example_environment_names_what_is_read() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    read_here = {
        settings.DATA,
        settings.DEFS,
        settings.PROFILE,
        settings.ONLY,
        settings.MANIFEST_URL,
        settings.PAGES_URL,
        settings.LOCK_TIMEOUT,
        settings.TRACKING_URI,
        *settings.CREDENTIALS,
        *VARIABLES,
    }
    assert named == read_here
