"""Addresses of reports and Data Docs, which `trading-assets pages` serves.

A browser does not follow a link from the UI to a file, so the pages need an address of their own.
"""

from pathlib import Path
from urllib.parse import quote

DATA_DOCS = "data_docs"
DATA_DOCS_INDEX, QUARANTINE = "index.html", "quarantine.html"
DEFAULT_URL = "http://127.0.0.1:3070"


def page_url(base: str, data: Path, file: Path) -> str:
    """Return the address of a file below the data folder.

    Parameters
    ----------
    base : str
        Address of the server, without a trailing slash.
    data, file : Path
        Data folder, and a file in one of its served folders.
    """
    return f"{base.rstrip('/')}/{quote(file.relative_to(data).as_posix())}"
