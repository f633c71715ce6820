"""Texts that are checked in, so that a change of them is seen in a diff.

After a change that is meant: UPDATE_SNAPSHOTS=1 pytest trading_assets_tests/pipeline
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent
HINT = "if the change is meant, run UPDATE_SNAPSHOTS=1 pytest trading_assets_tests/pipeline"


def hold_against_snapshot(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines(), HINT
