"""The asset of the stage paper: one trading session, decided before the open and settled after."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.errors import UserError
from trading_assets.lake.store import InputRef, Lake
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.governance import champion_files
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.paper_metadata import session_metadata
from trading_assets.pipeline.resources import CredentialsResource, LakeResource
from trading_assets.pipeline.task import Task, report_partitions


def paper_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the paper session of a strategy."""
    node = declared.node("paper_session")
    reconciled, intact = "ledger_equals_broker", "audit_chain_is_intact"
    linear, free = "sessions_were_recorded_in_order", "account_may_trade"

    @declare_asset(
        declared,
        node,
        "account",
        description="Decisions, orders, fills, positions and equity of one exchange session.",
        kinds={"alpaca"} if declared.trading.paper.gateway == "alpaca" else {"polars"},
        pool=f"{declared.name}_account",
        check_specs=[
            check_spec(
                node, reconciled, "Cash and positions agree to the last decimal.", blocks=True
            ),
            check_spec(
                node, intact, "Every record's hash follows from the one before.", blocks=True
            ),
            check_spec(
                node, linear, "No later session was recorded before this one.", blocks=False
            ),
            check_spec(node, free, "The account's kill switch is ACTIVE.", blocks=False),
        ],
    )
    def paper_session(
        context: dg.AssetExecutionContext, lake: LakeResource, credentials: CredentialsResource
    ) -> dg.MaterializeResult:
        from trading_assets.paper.account_folder import AccountFolder, account_path
        from trading_assets.paper.alerts import session_alerts, why_not_trading
        from trading_assets.paper.audit import AuditHead, stated_genesis, verify_audit
        from trading_assets.paper.clock import SystemClock
        from trading_assets.paper.trading import SessionData, trade_session

        task = Task.begin(context, lake, declared, "paper_session")
        # What is missing is refused before anything is sent.
        inputs = task.refs(task.key)
        clock = SystemClock(lake.now)
        account = AccountFolder.on_disk(
            account_path(task.lake.root, declared.name),
            clock,
            _witness(task, declared.name, clock),
            socket.gethostname(),
        )
        with _alerting(context, account, clock, task.key):
            bars, actions = read_market(task)
            data = SessionData(
                session=date.fromisoformat(task.key),
                bars=bars,
                actions=actions,
                series=task.read(f"{declared.trading.market_data}/validated_bars", "series"),
                champion=champion_files(task.lake, declared.name, task.key, is_inclusive=True),
                previous=_stored(task, before=True),
                stored=_stored(task, before=False),
                account=account,
                credentials=credentials.read(),
                clock=clock,
                run_id=context.run.run_id,
                permits_live=credentials.permits_live(declared.name),
                alpaca_url=credentials.alpaca_url(),
                facts=_facts(task, inputs),
            )
            traded = trade_session(declared.name, declared.trading, declared.market, data)
        inserted = _inserted_before(task)
        records = _commit(task, traded, inputs)
        report_partitions(context, records)
        head = AuditHead(int(traded.summary["audit"]["count"]), traded.summary["audit"]["hash"])
        standing = account.switch.state()
        _tell(context, account, clock, session_alerts(traded, standing))
        broken = verify_audit(traded.audit, head, stated_genesis(traded.audit))
        return dg.MaterializeResult(
            metadata=session_metadata(task, traded),
            check_results=[
                check(reconciled, traded.differences),
                check(intact, broken),
                check(linear, inserted, is_warning=True),
                check(free, [reason for _, reason in why_not_trading(standing)]),
            ],
        )

    return [paper_session]


@contextmanager
def _alerting(
    context: dg.AssetExecutionContext, account: Any, clock: Any, session: str
) -> Generator[None]:
    """Tell of a session that could not be traded, and let the run fail by it."""
    from trading_assets.paper.alerts import Alert

    try:
        yield
    except UserError as error:
        _tell(context, account, clock, [Alert("failed", session, str(error))])
        raise


def _tell(context: dg.AssetExecutionContext, account: Any, clock: Any, alerts: Any) -> None:
    """Keep alerts in the account's folder, and write them to the run's log."""
    from trading_assets.paper.alerts import keep_alerts

    try:
        keep_alerts(account.logs, clock, alerts)
    except OSError as error:
        # What was traded is stored; a full disk must not take the run's event with it.
        context.log.error(f"alerts could not be kept: {error}")
    for alert in alerts:
        context.log.error(f"alert, {alert.kind}: {alert.reason}")


def _facts(task: Task, refs: list[InputRef]) -> dict[str, str]:
    """Return the digests of what the session is decided on, for its audit records."""
    from trading_assets.paper.why import data_digest

    features = f"{task.declared.name}/features"
    return {
        "config_digest": task.node.declaration_digest,
        "code_version": task.node.code_version,
        "features_digest": data_digest(ref for ref in refs if ref.asset == features),
        "data_digest": data_digest(refs),
    }


def _witness(task: Task, account: str, clock: Any) -> Any:
    """Return who signs where the account's logs end, and keeps that in the manifest."""
    from trading_assets.paper.account_folder import signing_key_path
    from trading_assets.paper.signing_keys import load_signer, signer_of
    from trading_assets.paper.witness import Witness
    from trading_assets.pipeline.settings import SIGNING_KEY, read_signing_key

    given = read_signing_key()
    path = signing_key_path(task.lake.root)
    signer = load_signer(path) if given is None else signer_of(given, SIGNING_KEY)
    return Witness(account, signer, task.lake.signed_heads, clock)


def read_session(lake: Lake, asset: str, session: str) -> Any:
    """Return the stored record of a paper session, whatever its checks said.

    Parameters
    ----------
    lake : Lake
        Holds it.
    asset : str
        Asset key of the paper sessions.
    session : str
        Partition key.

    Returns
    -------
    SessionRecord
        As it was committed last.

    Raises
    ------
    DataError
        If it was never stored or its files are damaged.
    """
    from trading_assets.paper.record import SESSION_TABLES, SessionRecord

    record = lake.record(asset, session)
    stored = {Path(file.name).stem for file in record.files} if record else set(SESSION_TABLES)
    tables = {
        name: lake.read(asset, [session], name, allow_failed=True)
        for name in SESSION_TABLES
        if name in stored
    }
    return SessionRecord.from_files(tables, lake.read_blobs(asset, session, allow_failed=True))


def _stored(task: Task, *, before: bool) -> Any:
    asset, lake = task.node.key, task.lake
    # A session whose books differed goes on from its own ledger all the same: what differed is
    # found again before anything is sent.
    newest = lake.latest_before(asset, task.key, allow_failed=True)
    found = newest if before else lake.record(asset, task.key)
    return None if found is None else read_session(lake, asset, found.partition)


def _inserted_before(task: Task) -> list[str]:
    """Say which session was recorded before this one although it follows it.

    Records are not rewritten, so that session started from an account without this one.
    """
    stored = task.lake.records(task.node.key)
    later = next((key for key in stored if key > task.key), None)
    if later is None:
        return []
    return [f"{later} was recorded first and started from an account without {task.key}"]


def _commit(task: Task, traded: Any, inputs: Any) -> list[Any]:
    """Commit the session and, in the same transaction, the one before if this run settled it."""
    writes = [_write(task, traded, inputs)]
    if traded.settled_previous is not None:
        writes.insert(0, _write(task, traded.settled_previous, inputs))
    return task.commit(writes)[-1:]


def _write(task: Task, record: Any, inputs: Any) -> Any:
    return task.write(
        record.session.isoformat(),
        record.tables,
        record.to_files(),
        verdict="failed" if record.differences else "passed",
        reasons=record.differences,
        as_of=task.now,
        inputs=inputs,
    )
