"""What runs need from outside: the lake, the clock, the keys and the MLflow store."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from trading_assets.cores import usable_cores
from trading_assets.lake.locks import LOCK_TIMEOUT_SECONDS
from trading_assets.lake.store import Lake
from trading_assets.pages import DEFAULT_URL, page_url
from trading_assets.pipeline.settings import (
    Settings,
    permits_live,
    read_alpaca_url,
    read_credentials,
    read_settings,
)

RECORDED_PACKAGES = (
    "trading_assets",
    "dagster",
    "polars",
    "numpy",
    "numba",
    "torch",
    "onnxruntime",
    "scikit-learn",
    "stable_baselines3",
)


class LakeResource(dg.ConfigurableResource):
    """The lake and the clock by which partitions exist.

    Attributes
    ----------
    root : str
        Absolute data folder.
    manifest_url : str
        SQLAlchemy address of the manifest; empty for SQLite in the data folder.
    fixed_now : str
        ISO moment used in place of the clock, for tests and replays; empty for the clock.
    pages_url : str
        Address at which reports and Data Docs are served.
    lock_timeout_seconds : float
        How long to wait for another process that commits to the lake, cleans it or rebuilds the
        catalog.
    """

    root: str
    manifest_url: str = ""
    fixed_now: str = ""
    pages_url: str = DEFAULT_URL
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS

    _opened: Lake | None = PrivateAttr(default=None)

    def now(self) -> datetime:
        """Return the aware moment that decides what is known."""
        return datetime.fromisoformat(self.fixed_now) if self.fixed_now else datetime.now(UTC)

    def link(self, file: Path) -> dg.MetadataValue:
        """Return a link that the UI can follow to a page below the data folder."""
        return dg.MetadataValue.url(page_url(self.pages_url, Path(self.root), file))

    def open(self) -> Lake:
        """Return the lake, opened once."""
        if self._opened is None:
            self._opened = Lake(
                Path(self.root),
                self.now,
                self.manifest_url or None,
                lock_timeout_seconds=self.lock_timeout_seconds,
            )
        return self._opened


class TrackingResource(dg.ConfigurableResource):
    """The MLflow store that mirrors models and trials.

    Attributes
    ----------
    uri : str
        MLflow tracking address; by default SQLite in the data folder.
    artifacts : str
        Folder for artefacts where no server keeps them.
    """

    uri: str
    artifacts: str

    def follow(
        self,
        experiment: str,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> Any:
        """Open a run that figures are added to while it goes on; see `TrackedRun`."""
        from trading_assets.governance.tracking import RunAbout, tracked_run

        about = RunAbout(experiment, name, params, tags)
        return tracked_run(self.uri, Path(self.artifacts), about)

    def log_model(
        self,
        experiment: str,
        name: str,
        files: Mapping[str, bytes],
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> str:
        """Log plain model files with parameters and metrics; return the run's id."""
        from trading_assets.governance.tracking import log_model

        return log_model(
            self.uri, Path(self.artifacts), experiment, name, files, (params, metrics, tags)
        )

    def mirror_trials(self, data_set: str, trials: Sequence[Any]) -> None:
        """Mirror the whole ledger of a data set; see `governance.trial_mirror`."""
        from trading_assets.governance.trial_mirror import mirror_trials

        mirror_trials(self.uri, Path(self.artifacts), f"{data_set}/trials", trials)


class CredentialsResource(dg.ConfigurableResource):
    """Keys of data vendor and broker, read when a run asks for them and held nowhere."""

    def read(self) -> dict[str, str]:
        """Return the keys that the environment has, by variable name."""
        return read_credentials()

    def permits_live(self, strategy: str) -> bool:
        """Return whether the environment permits a strategy to trade real money."""
        return permits_live(strategy)

    def alpaca_url(self) -> str:
        """Return the address of a broker that stands for Alpaca, or an empty string."""
        return read_alpaca_url()


@cache
def environment() -> dict[str, str]:
    """Return versions and processor: what 'identical' is identical to."""
    versions = {name: version(name) for name in RECORDED_PACKAGES}
    return {
        **versions,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": str(usable_cores()),
    }


def resources() -> dict[str, object]:
    """Return the resources of the code location, from the environment's settings."""
    settings = read_settings()
    return {
        "lake": LakeResource(
            root=str(settings.data),
            manifest_url=settings.manifest_url or "",
            fixed_now=settings.fixed_now.isoformat() if settings.fixed_now else "",
            pages_url=settings.pages_url,
            lock_timeout_seconds=settings.lock_timeout_seconds,
        ),
        "tracking": tracking_of(settings),
        "credentials": CredentialsResource(),
    }


def tracking_of(settings: Settings) -> TrackingResource:
    """Return the MLflow store that the environment names."""
    artifacts = settings.data / "mlflow" / "artifacts"
    return TrackingResource(uri=settings.tracking_uri, artifacts=str(artifacts))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    lines = info.read_text(encoding="utf-8").splitlines()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), ""
    )
