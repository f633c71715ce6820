"""What each member of an ensemble wished for at its decisions, and what that gained."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from trading_assets.backtest.attribution.by_member import REMAINDER, Wishes, member_gains
from trading_assets.backtest.explanation.watched_decisions import WatchedDecisions
from trading_assets.backtest.steady_groups import sum_groups
from trading_assets.policy.ensemble import Ensemble, member_name
from trading_assets.policy.observation import raw_weights
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.task import TradingTask


def member_names(portfolio: str, ensembles: Mapping[str, Ensemble]) -> list[str]:
    """Return the names of an ensemble's members, in their order.

    Parameters
    ----------
    portfolio : str
        `<agent>/ensemble`, or `ensemble` of all agents.
    ensembles : mapping of str to Ensemble
        Those of all agents.
    """
    own = [portfolio] if portfolio != "ensemble" else sorted({*ensembles} - {portfolio})
    return [
        member_name(name.removesuffix("/ensemble"), policy.seed)
        for name in own
        for policy in ensembles[name]
    ]


def member_table(
    portfolio: str,
    watched: WatchedDecisions,
    ensemble: Ensemble,
    names: Sequence[str],
    task: TradingTask,
) -> pl.DataFrame:
    """Return the table `member_gains` of an ensemble.

    Parameters
    ----------
    portfolio : str
        Its name.
    watched : WatchedDecisions
        Its decisions.
    ensemble : Ensemble
        Members and their weights.
    names : sequence of str
        Names of the members.
    task : TradingTask
        What was traded.
    """
    counts = ensemble.weights or (1.0 / len(ensemble),) * len(ensemble)
    wished = [
        weight * raw_weights(policy.act_from(watched.observations, memory)[0], policy.rules)
        for weight, policy, memory in zip(counts, ensemble, watched.memories, strict=True)
    ]
    equity = watched.tables.equity.sort("session")["equity_usd"].to_numpy()
    before = np.concatenate([[task.initial_usd], equity[:-1]])
    wishes = Wishes(
        weights=np.stack([task.view.size_weights(own, watched.rows) for own in wished]),
        base_usd=np.full(len(equity), task.initial_usd) if task.notional_usd else before,
        rows=range(int(watched.rows[0]), int(watched.rows[-1]) + 1),
        latency_bars=task.costs.latency_bars,
    )
    gains = {"gain_usd": pl.col("gain_usd")}
    gained = sum_groups(watched.tables.holdings, ["session"], gains).sort("session")
    found = member_gains(wishes, task.market, gained["gain_usd"].to_numpy())
    parts = [
        pl.DataFrame({"session": gained["session"], "gain_usd": usd}).with_columns(
            portfolio=pl.lit(portfolio), member=pl.lit(name)
        )
        for name, usd in zip((*names, REMAINDER), found, strict=True)
    ]
    table = pl.concat(parts).select(TABLES["member_gains"].names)
    return conform("member_gains", table).sort(TABLES["member_gains"].key)
