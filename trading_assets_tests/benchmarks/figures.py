"""One figure a line, printed as JSON and kept newest-first in `docs/figures.jsonl`."""

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
KEPT = REPOSITORY / "docs" / "figures.jsonl"


@dataclass(frozen=True)
class Figure:
    """One measured number; `peer` and `ratio` where something else was measured in the same run."""

    figure: str
    value: float
    unit: str
    peer: str | None = None
    ratio: float | None = None
    limit: float | None = None


def keep(measured: Figure) -> None:
    """Print a figure with cores, date and commit, and replace the kept one of its name."""
    values = {name: value for name, value in asdict(measured).items() if value is not None}
    line = {
        **values,
        "value": round(measured.value, 3) if abs(measured.value) >= 1 else _short(measured.value),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
    }
    print(json.dumps(line), flush=True)
    kept = {old["figure"]: old for old in read_kept()}
    kept[measured.figure] = line
    text = "".join(json.dumps(kept[name]) + "\n" for name in sorted(kept))
    aside = KEPT.with_suffix(".tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(KEPT)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def read_kept() -> list[dict[str, object]]:
    """Return the kept figures in order of name."""
    if not KEPT.exists():
        return []
    return [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
