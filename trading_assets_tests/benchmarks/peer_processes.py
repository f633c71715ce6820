"""Others' packages in an environment of their own, and a process of it for each peer."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trading_assets_tests.benchmarks.processes import OWN_VARIABLES

SOURCES = Path(__file__).parent / "peers"
# What the C library hands back a virtual machine may hand back to its host, and fetching it anew
# then costs more than what is measured (3 s a GB seen). Each process keeps what it has had.
KEPT_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 40),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
}
# pip asks a package index that does not answer once more, and then gives up.
PIP_OPTIONS = ("-q", "--disable-pip-version-check", "--no-input", "--retries", "1")


def build_environment(folder: Path, requirements: Path) -> Path:
    """Return the interpreter of the environment below `folder`, built anew if its pins changed.

    Raises
    ------
    RuntimeError
        If the packages cannot be installed; pip's errors are in the message.
    """
    place = folder / "environment"
    python, mark = place / "bin" / "python", place / "requirements.sha256"
    wanted = digest(requirements)
    if python.exists() and mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return python
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "environment.log"
    create = ["venv", "--clear", "--without-pip", str(place)]
    install = ["pip", "--python", str(python), "install", *PIP_OPTIONS, "-r", str(requirements)]
    for step in (create, install):
        command = [sys.executable, "-m", *step]
        # pip tells of each mirror that it leaves out, which goes to the log and no further.
        with log.open("wb") as output:
            code = subprocess.run(command, check=False, stdout=output, stderr=output).returncode
        if code:
            msg = (
                f"the peers' environment could not be built in {place}, {step[0]} ended with "
                f"{code}: {errors_in(log)}; it needs a package index within reach that has each "
                f"pin of {requirements}"
            )
            raise RuntimeError(msg)
    mark.write_text(wanted, encoding="utf-8")
    return python


def digest(requirements: Path) -> str:
    """Return what an environment's content depends on: the pins and the interpreter."""
    return hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()


def errors_in(log: Path) -> str:
    """Return pip's errors, or the log's end where it names none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " ".join([line for line in lines if line.startswith("ERROR")] or lines[-3:])[-800:]


def run_peer(
    python: Path, source: str, peer: str, most_seconds: float, arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Run one of the peers' sources in a process of its own and return what its last line says.

    Parameters
    ----------
    python : Path
        The interpreter of the peers' environment.
    source : str
        File in `SOURCES`, whose last line of output is a JSON object.
    peer : str
        Name, the first of what it is given.
    most_seconds : float
        After which it is ended.
    arguments : sequence of str, optional
        What else it is given.

    Raises
    ------
    RuntimeError
        If it fails; its last lines are in the message.
    """
    # polars takes as many threads as it likes, whatever this process was told.
    left_out = (*OWN_VARIABLES, "PYTHON", "POLARS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    found = subprocess.run(
        [str(python), str(SOURCES / source), peer, *arguments],
        env=environment | KEPT_MEMORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=most_seconds,
    )
    if found.returncode:
        msg = f"the peer {peer} ended with {found.returncode}: {found.stderr[-2000:]}"
        raise RuntimeError(msg)
    return json.loads(found.stdout.splitlines()[-1])
