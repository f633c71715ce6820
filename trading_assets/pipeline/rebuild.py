"""The command `trading-assets rebuild`: makes a stored report again, from what it was made from.

Each partition between the fetched bars and the report, and no other, is made anew in a data folder
of its own, by the same assets, with the clock at the moment of the report; then it is held against
the stored one, inputs before what read them. Nothing that is stored changes.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

from rich.console import Console

from trading_assets.asset_nodes import AssetGraph
from trading_assets.errors import DataError, UserError
from trading_assets.graph import full_graph
from trading_assets.lake.files import decode_table, read_checked
from trading_assets.lake.lineage import find_damage, trace_lineage
from trading_assets.lake.names import TABLE_SUFFIX
from trading_assets.lake.similarity import TOLERANCE, find_difference
from trading_assets.lake.store import Lake, PartitionRecord, PartitionWrite, Provenance
from trading_assets.pipeline.ledger import TABLE as LEDGER
from trading_assets.pipeline.ledger import restore_ledger
from trading_assets.pipeline.resources import environment
from trading_assets.pipeline.settings import (
    Settings,
    open_lake,
    read_settings,
    rebuilding_environment,
)
from trading_assets.pipeline.verdict import REPORT


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a rebuild.

    Attributes
    ----------
    is_same : bool
        Whether nothing differs.
    sentence : str
        `identical`, the first partition that differs, or `other platform` with what that allows.
    """

    is_same: bool
    sentence: str


def rebuild_report(report: str, console: Console | None = None) -> Rebuilt:
    """Make a stored report again and say whether it is the same.

    Parameters
    ----------
    report : str
        Strategy whose newest report is meant, or a path of a stored `report.html`.
    console : Console, optional
        Where progress is shown.

    Raises
    ------
    UserError
        If there is no such report, or it was made by other code or another declaration than there
        is now.
    DataError
        If a commit that it was made from is gone.
    """
    console = console or Console()
    settings = read_settings()
    lake = open_lake(settings)
    record = _find_report(lake, settings, report)
    strategy = record.asset.split("/", 1)[0]
    graphs = full_graph(settings.declarations(), strategy)
    lineage = trace_lineage(lake, record)
    _require_same_code(graphs, lineage)
    damage = find_damage(lake, lineage)
    if damage:
        return Rebuilt(False, damage)
    console.print(f"{record.label}: {len(lineage)} stored partitions are what they were; making")
    with tempfile.TemporaryDirectory(prefix="rebuild-") as folder:
        scratch = Path(folder) / "data"
        other = Lake(scratch, lambda: record.committed_at)
        _seed(lake, other, lineage, graphs[0].owner, settings)
        _make(settings, scratch, lineage)
        return _compare(lake, other, lineage)


def _find_report(lake: Lake, settings: Settings, report: str) -> PartitionRecord:
    found = lake.record(f"{report}/{REPORT}") if report.isidentifier() else None
    if found is not None:
        return found
    path = Path(report).absolute()
    for strategy in settings.declarations().strategies:
        for commit in lake.history(f"{strategy}/{REPORT}"):
            if any(lake.root / file.path == path for file in commit.files):
                return commit
    stored = [a.split("/")[0] for a in lake.assets() if a.endswith(f"/{REPORT}")]
    msg = (
        f"no stored report is {report}; expected a strategy with a report, of which there are"
        f" {', '.join(stored) or 'none'}, or the path of a stored report.html"
    )
    raise UserError(msg)


def _require_same_code(graphs: Sequence[AssetGraph], lineage: Sequence[PartitionRecord]) -> None:
    nodes = {node.key: node for graph in graphs for node in graph.nodes}
    for record in lineage:
        node = nodes.get(record.asset)
        if node is None:
            msg = (
                f"{record.label} is an asset of no declaration now; expected those that the report"
                " was made with"
            )
            raise UserError(msg)
        if record.code_version != node.code_version:
            msg = (
                f"{record.label} was made by code {record.code_version} and the code is"
                f" {node.code_version} now; expected the same: check that version out, or run the"
                " strategy again for a report of this one"
            )
            raise UserError(msg)
        if record.declaration_digest != node.declaration_digest:
            msg = (
                f"{record.label} was made by another declaration than there is now, or with other"
                " sizes; expected the same: declare them as they were"
            )
            raise UserError(msg)


def _seed(
    lake: Lake,
    other: Lake,
    lineage: Sequence[PartitionRecord],
    data_set: str,
    settings: Settings,
) -> None:
    """Give another lake what was fetched and what had been counted."""
    for record in lineage:
        if not record.inputs:
            contents = {
                file.name: read_checked(lake.root, file, record.label) for file in record.files
            }
            is_table = {name: name.endswith(TABLE_SUFFIX) for name in contents}
            tables = {
                name.removesuffix(TABLE_SUFFIX): decode_table(data)
                for name, data in contents.items()
                if is_table[name]
            }
            write = PartitionWrite(
                asset=record.asset,
                stage=record.stage,
                partition=record.partition,
                tables=tables,
                blobs={name: data for name, data in contents.items() if not is_table[name]},
                verdict=record.verdict,
                reasons=record.reasons,
                as_of=record.as_of,
                known_until=record.known_until,
                first_session=record.first_session,
                last_session=record.last_session,
            )
            provenance = Provenance(
                record.run_id,
                record.code_version,
                record.declaration_digest,
                lake.document(record.config_digest),
                lake.document(record.environment_digest),
            )
            other.commit([write], provenance)
    restore_ledger(other, data_set, lake.read_table(lineage[-1], LEDGER))
    if settings.variants.is_dir():
        copytree(settings.variants, other.root / settings.variants.name)


def _make(settings: Settings, scratch: Path, lineage: Sequence[PartitionRecord]) -> None:
    record = lineage[-1]
    made = [[own.asset, own.partition] for own in lineage if own.inputs]
    command = [sys.executable, "-m", "trading_assets.pipeline.remaking", record.asset.split("/")[0]]
    variables = rebuilding_environment(settings, scratch, record.committed_at)
    # This interpreter, with a name that the manifest holds.
    # In a folder without a dagster.yaml, so that its runs are in no instance but its own.
    found = subprocess.run(  # noqa: S603
        command,
        cwd=scratch,
        env=variables,
        input=json.dumps(made),
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        lines = f"{found.stdout}\n{found.stderr}".strip().splitlines()
        msg = f"making {record.label} again failed: {' '.join(lines[-6:])}"
        raise DataError(msg)


def _compare(lake: Lake, other: Lake, lineage: Sequence[PartitionRecord]) -> Rebuilt:
    recorded = lake.document(lineage[-1].environment_digest)
    here = environment()
    changed = [f"{n} {v}, here {here.get(n)}" for n, v in recorded.items() if here.get(n) != v]
    for record in lineage:
        again = other.record(record.asset, record.partition)
        if again is None:
            return Rebuilt(False, f"{record.label} was not made again")
        if again.content_digest == record.content_digest:
            continue
        difference = find_difference(lake, record, other, again)
        if difference or not changed:
            said = difference or "its bytes differ, its numbers do not"
            return Rebuilt(False, f"{record.label} differs first: {said}")
    assets = len({record.asset for record in lineage})
    counted = f"{len(lineage)} partitions of {assets} assets"
    if changed:
        said = f"other platform ({'; '.join(changed)}): {counted} are the same within {TOLERANCE:g}"
        return Rebuilt(True, said)
    return Rebuilt(True, f"identical: {counted}, from the fetched bars to the report")
