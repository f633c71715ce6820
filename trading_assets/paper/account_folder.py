"""Where the files of a paper account lie in a data folder, and which of them are session logs."""

import re
from pathlib import Path

from trading_assets.errors import DataError, shown
from trading_assets.paper.log_folder import DiskFolder, LogFolder

_SUFFIX = ".jsonl"
_SESSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STRATEGY = re.compile(r"[a-z][a-z0-9_]{0,199}")


def account_path(data: Path, strategy: str) -> Path:
    """Return the folder of a strategy's account, there or not.

    Raises
    ------
    DataError
        If the name is not one that a strategy can have.
    """
    if not _STRATEGY.fullmatch(strategy):
        msg = (
            f"strategy was {shown(strategy)}; expected a declared name, of lower-case letters,"
            " digits and _"
        )
        raise DataError(msg)
    return data / "paper" / strategy


def account_folder(data: Path, strategy: str) -> DiskFolder:
    """Return the folder of a strategy's account for its logs and its kill switch."""
    return DiskFolder(account_path(data, strategy))


def signing_key_path(data: Path) -> Path:
    """Return the file of the key that signs checkpoints, apart from the logs."""
    return data / "keys" / "audit.pem"


def log_name(session: str) -> str:
    """Return the name of a session's log in the account's folder."""
    return f"{session}{_SUFFIX}"


def session_logs(folder: LogFolder) -> dict[str, bytes]:
    """Return the logs in an account's folder by session, oldest first."""
    names = {name.removesuffix(_SUFFIX): name for name in folder.names() if name.endswith(_SUFFIX)}
    return {
        session: folder.read(name) for session, name in names.items() if _SESSION.fullmatch(session)
    }
