"""What the UI shows of a paper session: figures, costs, pictures, and why orders were sent."""

from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.lake.store import Lake, PartitionRecord
from trading_assets.pipeline.policy import png_metadata
from trading_assets.pipeline.task import Task

# Orders whose cards are shown; each is some kilobytes of the event log.
CARDS = 3
SESSIONS_SHOWN = 60
WEIGHED = ("decisions", "positions")
PARTS = ("delay", "spread", "impact", "timing", "opportunity", "fees", "shortfall")


def session_metadata(task: Task, traded: Any) -> dict[str, Any]:
    """Return the metadata of a paper session that was just stored.

    Parameters
    ----------
    task : Task
        Of `paper_session`.
    traded : SessionRecord
        The session.
    """
    account, fills = traded.tables["account"], traded.tables["fills"]
    numbers: dict[str, Any] = {}
    if len(account):
        row = account.row(0, named=True)
        numbers = {name: float(row[name]) for name in ("equity_usd", "cash_usd", "fees_usd")}
    return {
        "status": traded.status,
        "orders": len(traded.tables["orders"]),
        "fills": len(fills),
        "decided_by": _decided_by(traded),
        "audit_records": traded.audit.count(b"\n"),
        **numbers,
        **_costs(traded),
        **_divergence(task),
        **_reasons(task, traded),
        **_pictures(task, traded),
    }


def _decided_by(traded: Any) -> str:
    decisions = traded.tables["decisions"]
    return str(decisions["decided_by"][0]) if len(decisions) else "nobody"


def _costs(traded: Any) -> dict[str, Any]:
    """Return the shortfall and its parts of the newest session that this run settled."""
    known = traded if traded.status == "settled" else traded.settled_previous
    if known is None or not (costs := known.summary.get("costs")):
        return {}
    if "missing" in costs:
        return {"costs_missing": costs["missing"]}
    names = [f"{part}_{unit}" for part in PARTS for unit in ("usd", "bps")]
    found = {("fees_cost_usd" if n == "fees_usd" else n): float(costs[n]) for n in names}
    return {"costs_of_session": known.session.isoformat(), **found}


def _reasons(task: Task, traded: Any) -> dict[str, Any]:
    """Return the cards of the largest orders, and how to see those of the others."""
    from trading_assets.paper.why import explain_order, largest_orders

    symbols = largest_orders(traded, CARDS)
    if not symbols:
        return {}
    reads = read_inputs(task.lake, task.node.key, task.key)
    cards = [explain_order(traded, symbol, reads).to_markdown() for symbol in symbols]
    other = f"Any other: `trading-assets why {task.declared.name} {task.key} SYMBOL`"
    return {"why": dg.MetadataValue.md("\n\n".join((*cards, other)))}


def _pictures(task: Task, traded: Any) -> dict[str, Any]:
    """Return the account's way, its weights and its costs as small pictures."""
    from trading_assets.paper.plots import plot_equity, plot_shortfall, plot_weights

    settled = _settled(task)
    if not settled:
        return {}
    read, asset = task.lake.read, task.node.key
    account = read(asset, settled, "account", allow_failed=True)
    shown = {"equity": png_metadata(plot_equity(account))}
    costed = [key for key in settled if _has_costs(task, key)]
    if costed:
        costs = read(asset, costed, "order_costs", allow_failed=True)
        shown["shortfall"] = png_metadata(plot_shortfall(costs))
    newest, equity = settled[-1], float(account["equity_usd"][-1])
    if equity > 0:
        tables = [read(asset, [newest], name, allow_failed=True) for name in WEIGHED]
        shown["weights"] = png_metadata(plot_weights(tables[0], tables[1], equity, newest))
    return shown


def _settled(task: Task) -> list[str]:
    """Return the newest settled sessions up to this one, oldest first."""
    stored = task.lake.records(task.node.key)
    settled = [
        key for key, record in stored.items() if key <= task.key and _rows(record, "account")
    ]
    return settled[-SESSIONS_SHOWN:]


def _has_costs(task: Task, session: str) -> bool:
    record = task.lake.record(task.node.key, session)
    return record is not None and _rows(record, "order_costs") > 0


def _rows(record: PartitionRecord, table: str) -> int:
    return sum(file.rows or 0 for file in record.files if Path(file.name).stem == table)


def read_inputs(lake: Lake, asset: str, session: str) -> list[list[tuple[str, str, str]]]:
    """Return what each commit of a session read, newest first."""
    commits = sorted(lake.history(asset, session), key=lambda r: r.commit_id, reverse=True)
    return [
        [(ref.asset, ref.partition, ref.content_digest) for ref in commit.inputs]
        for commit in commits
    ]


def _divergence(task: Task) -> dict[str, Any]:
    """Return how far sessions replayed up to this one diverge from a backtest."""
    asset = f"{task.declared.name}/session_replay"
    keys = [key for key, r in task.lake.records(asset).items() if r.last_session]
    earlier = [key for key in keys if key <= task.key]
    if not earlier:
        return {}
    row = task.lake.read(asset, earlier[-1:], allow_failed=True).row(-1, named=True)
    shown = {name: row[name] for name in ("divergence_bps", "cumulative_bps")}
    return {"replayed_session": row["session"].isoformat(), **shown}
