"""What the UI shows of a paper session: figures, costs, divergence."""

from typing import Any

from trading_assets.pipeline.task import Task

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
    }


def _decided_by(traded: Any) -> str:
    decisions = traded.tables["decisions"]
    return str(decisions["decided_by"][0]) if len(decisions) else "nobody"


def _costs(traded: Any) -> dict[str, Any]:
    """Return the shortfall and its parts of the newest session that this run settled."""
    known = traded if traded.status == "settled" else traded.settled_previous
    costs = {} if known is None else known.summary.get("costs", {})
    if not costs:
        return {}
    if "missing" in costs:
        return {"costs_missing": costs["missing"]}
    names = [f"{part}_{unit}" for part in PARTS for unit in ("usd", "bps")]
    found = {("fees_cost_usd" if n == "fees_usd" else n): float(costs[n]) for n in names}
    return {"costs_of_session": known.session.isoformat(), **found}


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
