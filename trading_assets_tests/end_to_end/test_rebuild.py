"""A stored report made again: identical, or the first asset that differs, by name."""

import json
import re

import pytest

from trading_assets_tests.end_to_end.conftest import FinishedProject
from trading_assets_tests.end_to_end.projects import FOLD, Project

REPORT = "tiny/walk_forward_report"
EARLIER_FOLD, NOT_BACKTESTED = "2007-10-01", "the fold was not backtested"
TRADED = ("forecaster", "forecasts", "policy/ppo", "references", "backtest")


def flip_one_bit(project: Project, asset: str, partition: str) -> None:
    with project.lake() as lake:
        record = lake.record(asset, partition)
        assert record is not None
        path = lake.root / record.files[0].path
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_report_is_made_again_to_the_bit_twice_and_nothing_stored_changes(
    tiny_project: FinishedProject,
) -> None:
    project = tiny_project.project
    with project.lake() as lake:
        before = lake.record(REPORT)
        assets = lake.assets()
    with project.instance() as instance:
        runs = instance.get_runs_count()
    sentences = []
    for report in ("tiny", str(project.data / before.file("report.html").path)):
        found = project.trading_assets("rebuild", report)
        assert found.returncode == 0, found.stdout + found.stderr
        sentences.append(found.stdout.splitlines()[-1])
    assert re.fullmatch(
        r"identical: \d+ partitions of \d+ assets, from .* to the report", sentences[0]
    )
    assert sentences[1] == sentences[0]
    with project.lake() as lake:
        assert lake.record(REPORT) == before
        assert lake.assets() == assets
    with project.instance() as instance:
        assert instance.get_runs_count() == runs


def test_a_report_that_lacks_a_fold_and_explanations_is_made_again_as_it_is(
    own_project: Project,
) -> None:
    path = own_project.folder / "defs" / "tiny" / "defs.yaml"
    declared = path.read_text()
    assert f"first: '{FOLD}'" in declared
    path.write_text(declared.replace(f"first: '{FOLD}'", f"first: '{EARLIER_FOLD}'"))
    only = [part for name in TRADED for part in ("--only", f"tiny/{name}")]
    found = own_project.trading_assets("run", "tiny", *only, "--from", FOLD)
    assert found.returncode == 0, found.stdout + found.stderr
    # What there is of explanations and stress is of the earlier declaration's fold.
    forget(own_project, "tiny/explanation", "tiny/stress")
    own_project.trading_assets("run", "tiny", "--only", REPORT)
    with own_project.lake() as lake:
        record = lake.record(REPORT)
        read = sorted({(ref.asset, ref.partition) for ref in record.inputs})
    assert record.reasons == (f"every portfolio lacks fold {EARLIER_FOLD}: {NOT_BACKTESTED}",)
    assert read == [("tiny/backtest", FOLD), ("tiny/forecaster", FOLD)]
    found = own_project.trading_assets("rebuild", "tiny")
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.splitlines()[-1].startswith("identical: ")


def forget(project: Project, *assets: str) -> None:
    """Leave assets without any current partition."""
    import sqlalchemy as sa

    from trading_assets.lake import tables

    engine = sa.create_engine(f"sqlite:///{project.data / 'manifest.sqlite'}")
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.pointers).where(tables.pointers.c.asset.in_(assets)))
    engine.dispose()


@pytest.mark.parametrize(
    ("asset", "partition"), [("tiny_bars/raw_bars", "2006-11-01"), ("tiny/features", "2007-03-01")]
)
def test_one_bit_of_an_input_is_named_by_its_asset(
    own_project: Project, asset: str, partition: str
) -> None:
    flip_one_bit(own_project, asset, partition)
    found = own_project.trading_assets("rebuild", "tiny")
    assert found.returncode == 1
    assert found.stdout.splitlines()[-1].startswith(f"{asset} {partition}: its file")


def test_a_stored_number_that_the_code_does_not_give_is_named(own_project: Project) -> None:
    """A features table that was written by hand, hashes and all, is not what features compute."""
    asset, month = "tiny/features", "2007-05-01"
    with own_project.lake() as lake:
        record = lake.record(asset, month)
        frame = lake.read_table(record)
        column = "log_return_1"
        changed = frame.with_columns(frame[column] * 1.001)
        rewrite(lake, record, changed)
    found = own_project.trading_assets("rebuild", "tiny")
    assert found.returncode == 1, found.stdout + found.stderr
    assert f"{asset} {month} differs first: file rows.parquet: column {column}" in found.stdout


def rewrite(lake, record, frame) -> None:
    """Store a table in place of a partition's, and let all that read it say that they read this."""
    import sqlalchemy as sa

    from trading_assets.lake import tables
    from trading_assets.lake.store import PartitionWrite, Provenance

    write = PartitionWrite(
        record.asset,
        record.stage,
        record.partition,
        {"rows": frame},
        inputs=record.inputs,
        first_session=record.first_session,
        last_session=record.last_session,
    )
    made = Provenance(
        record.run_id,
        record.code_version,
        record.declaration_digest,
        lake.document(record.config_digest),
        lake.document(record.environment_digest),
    )
    (again,) = lake.commit([write], made)
    engine = sa.create_engine(f"sqlite:///{lake.root / 'manifest.sqlite'}")
    with engine.begin() as connection:
        inputs = tables.inputs
        connection.execute(
            sa.update(inputs)
            .where(inputs.c.asset == record.asset, inputs.c.partition == record.partition)
            .values(content_digest=again.content_digest)
        )
    engine.dispose()


def test_another_platform_is_named_and_compared_by_its_numbers(own_project: Project) -> None:
    import sqlalchemy as sa

    from trading_assets.lake import tables

    engine = sa.create_engine(f"sqlite:///{own_project.data / 'manifest.sqlite'}")
    with own_project.lake() as lake:
        digest = lake.record(REPORT).environment_digest
        recorded = lake.document(digest)
    with engine.begin() as connection:
        documents = tables.documents
        other = json.dumps({**recorded, "processor": "another one"})
        connection.execute(
            sa.update(documents).where(documents.c.digest == digest).values(text=other)
        )
    engine.dispose()
    found = own_project.trading_assets("rebuild", "tiny")
    assert found.returncode == 0, found.stdout + found.stderr
    last = found.stdout.splitlines()[-1]
    assert last.startswith("other platform (processor another one, here ")
    assert last.endswith("are the same within 1e-05")


@pytest.mark.parametrize("report", ["nothing", "nowhere/report.html"])
def test_a_report_that_is_not_stored_is_refused(own_project: Project, report: str) -> None:
    found = own_project.trading_assets("rebuild", report)
    assert found.returncode == 2
    assert f"no stored report is {report}; expected a strategy with a report" in found.stderr
    assert "tiny" in found.stderr


def test_a_changed_declaration_is_refused(own_project: Project) -> None:
    path = own_project.folder / "defs" / "tiny" / "defs.yaml"
    path.write_text(path.read_text().replace("total_steps: 2000", "total_steps: 2048"))
    found = own_project.trading_assets("rebuild", "tiny")
    assert found.returncode == 2
    assert "tiny/policy/ppo 2008-01-01 was made by another declaration" in found.stderr
