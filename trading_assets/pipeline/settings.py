"""What the environment decides: where data lies, which profile runs, which keys are present.

The only place that reads environment variables; everything else receives values.
"""

import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import get_args

from trading_assets.declarations import (
    PACKAGED,
    Declarations,
    declaration_files,
    load_declarations,
)
from trading_assets.declared import Profile
from trading_assets.errors import DeclarationError, shown
from trading_assets.lake.locks import LOCK_TIMEOUT_SECONDS
from trading_assets.lake.store import Lake
from trading_assets.pages import DEFAULT_URL

DATA = "TRADING_ASSETS_DATA"
DEFS = "TRADING_ASSETS_DEFS"
PROFILE = "TRADING_ASSETS_PROFILE"
ONLY = "TRADING_ASSETS_ONLY"
MANIFEST_URL = "TRADING_ASSETS_MANIFEST_URL"
PAGES_URL = "TRADING_ASSETS_PAGES_URL"
LOCK_TIMEOUT = "TRADING_ASSETS_LOCK_TIMEOUT_SECONDS"
FIXED_NOW = "TRADING_ASSETS_NOW"
TRACKING_URI = "MLFLOW_TRACKING_URI"
SIGNING_KEY = "TRADING_ASSETS_AUDIT_KEY"
LIVE_STRATEGIES = "TRADING_ASSETS_LIVE_STRATEGIES"
# A broker on this machine that speaks Alpaca's dialect; other addresses are refused.
ALPACA_URL = "TRADING_ASSETS_ALPACA_URL"
CREDENTIALS = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")


@dataclass(frozen=True, slots=True)
class Settings:
    """Values taken from the environment once.

    Attributes
    ----------
    data : Path
        Absolute folder of lake, manifest, catalog and instance.
    profile : {'development', 'production'}
        Which overlay of the declarations applies.
    private_roots : tuple of Path
        Folders with declarations of the user's own, beside the packaged ones.
    manifest_url : str or None
        SQLAlchemy address of the manifest; None is SQLite in the data folder.
    tracking_uri : str
        Address of the MLflow store.
    only : tuple of str
        Declarations that are loaded; empty means all.
    pages_url : str
        Address at which `trading-assets pages` serves reports and Data Docs.
    lock_timeout_seconds : float
        How long a process waits for another that commits to the lake, cleans it or rebuilds the
        catalog.
    fixed_now : datetime or None
        Aware moment taken in place of the clock, by which a report is rebuilt.
    """

    data: Path
    profile: Profile
    private_roots: tuple[Path, ...]
    manifest_url: str | None
    tracking_uri: str
    only: tuple[str, ...] = ()
    pages_url: str = DEFAULT_URL
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS
    fixed_now: datetime | None = None

    def now(self) -> datetime:
        """Return the aware moment that decides which partitions exist."""
        return self.fixed_now or datetime.now(UTC)

    @property
    def variants(self) -> Path:
        """Folder of declarations written by `trading-assets run --set ... --as NAME`."""
        return self.data / "declarations"

    @property
    def roots(self) -> tuple[Path, ...]:
        """All folders that hold declarations, packaged ones first."""
        return (PACKAGED, *self.private_roots, self.variants)

    def declarations(self) -> Declarations:
        """Parse and validate every declaration, and return those that are loaded."""
        stamps = tuple(
            (path, path.stat().st_mtime_ns)
            for file in declaration_files(self.roots)
            # A universe may stand in a file beside the declaration.
            for path in (file, *sorted(file.parent.rglob("*.csv")))
        )
        declared = _parsed(self.roots, self.profile, stamps)
        return declared.restricted_to(self.only) if self.only else declared


@lru_cache(maxsize=4)
def _parsed(
    roots: tuple[Path, ...], profile: Profile, _stamps: tuple[tuple[Path, int], ...]
) -> Declarations:
    # Loading the code location asks for each declaration by name; the files are parsed once.
    return load_declarations(roots, profile)


def read_settings() -> Settings:
    """Read the environment.

    Raises
    ------
    DeclarationError
        If the profile is unknown, a named folder does not exist, or a number is none.
    """
    data = Path(os.environ.get(DATA) or "data").absolute()
    profile = os.environ.get(PROFILE) or "development"
    if profile not in get_args(Profile):
        msg = f"{PROFILE} was {shown(profile)}; expected development or production"
        raise DeclarationError(msg)
    return Settings(
        data=data,
        pages_url=os.environ.get(PAGES_URL) or DEFAULT_URL,
        lock_timeout_seconds=_lock_timeout_seconds(),
        profile="production" if profile == "production" else "development",
        private_roots=_private_roots(),
        manifest_url=os.environ.get(MANIFEST_URL) or None,
        fixed_now=_fixed_now(),
        only=tuple(name for name in os.environ.get(ONLY, "").split(",") if name),
        tracking_uri=os.environ.get(TRACKING_URI) or f"sqlite:///{data / 'mlflow' / 'mlflow.db'}",
    )


def open_lake(settings: Settings) -> Lake:
    """Return the lake of the data folder, by the clock of this machine."""
    return Lake(
        settings.data,
        settings.now,
        settings.manifest_url,
        lock_timeout_seconds=settings.lock_timeout_seconds,
    )


def rebuilding_environment(settings: Settings, data: Path, now: datetime) -> dict[str, str]:
    """Return the environment of a process that works in another data folder, at another time.

    Parameters
    ----------
    settings : Settings
        Those of this process; its declarations and modules are found from any folder.
    data : Path
        The other data folder, which holds manifest, tracking store and instance, too.
    now : datetime
        Aware moment that its clock stands still at.
    """
    left_out = (MANIFEST_URL, TRACKING_URI, "DAGSTER_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    modules = os.pathsep.join([str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])])
    roots = {DEFS: os.pathsep.join(map(str, settings.private_roots))}
    changed = {DATA: str(data), FIXED_NOW: now.isoformat(), "PYTHONPATH": modules}
    return kept | changed | (roots if settings.private_roots else {})


def read_alpaca_url() -> str:
    """Return the address of a broker that stands for Alpaca, or an empty string."""
    return os.environ.get(ALPACA_URL, "")


def read_credentials() -> dict[str, str]:
    """Return the broker and data keys that the environment has."""
    return {name: os.environ[name] for name in CREDENTIALS if os.environ.get(name)}


def permits_live(strategy: str) -> bool:
    """Return whether the environment names a strategy that may trade real money."""
    named = os.environ.get(LIVE_STRATEGIES, "").split(",")
    return strategy in [name.strip() for name in named]


def read_signing_key() -> bytes | None:
    """Return the key that signs checkpoints as PEM, if the environment has one."""
    return os.environb.get(SIGNING_KEY.encode()) or None


def _fixed_now() -> datetime | None:
    text = os.environ.get(FIXED_NOW)
    if not text:
        return None
    try:
        now = datetime.fromisoformat(text)
    except ValueError:
        now = None
    if now is None or now.tzinfo is None:
        msg = (
            f"{FIXED_NOW} was {shown(text)}; expected a moment with its offset from UTC, such as"
            " 2013-03-02T00:00:00+00:00"
        )
        raise DeclarationError(msg)
    return now


def _lock_timeout_seconds() -> float:
    text = os.environ.get(LOCK_TIMEOUT)
    if not text:
        return LOCK_TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        msg = f"{LOCK_TIMEOUT} was {text[:40]!r}; expected a number of seconds above 0, such as 60"
        raise DeclarationError(msg)
    return seconds


def _private_roots() -> tuple[Path, ...]:
    named = os.environ.get(DEFS)
    if not named:
        beside = Path("defs").absolute()
        return (beside,) if beside.is_dir() else ()
    roots = tuple(Path(part).absolute() for part in named.split(os.pathsep) if part)
    for root in roots:
        if not _is_folder(root):
            msg = (
                f"{DEFS} names {shown(str(root))}, which is not a folder; expected folders of"
                " declarations"
            )
            raise DeclarationError(msg)
    return roots


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # a name that no folder can have
