"""Whether everything that a report judges is in the ledger of trials, fold by fold."""

from collections.abc import Mapping, Sequence

import polars as pl

from trading_assets.errors import DataError
from trading_assets.lake.store import CountedTrial, Lake, PartitionRecord
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.policy import agent_nodes
from trading_assets.pipeline.trials import Trained, fold_trials, trial_key, window_of


def find_uncounted(
    lake: Lake,
    declared: Declared,
    equities: Mapping[str, pl.DataFrame],
    counted: Sequence[CountedTrial],
) -> list[str]:
    """Return a sentence for each agent or ensemble of a fold that the ledger lacks.

    Parameters
    ----------
    lake : Lake
        Holds backtests and policies.
    declared : Declared
        The strategy.
    equities : mapping of str to DataFrame
        Table `equity` of each fold of the report.
    counted : sequence of CountedTrial
        The ledger's.
    """
    windows = {trial_key(own.trial): {kept.window for kept in own.returns} for own in counted}
    problems: list[str] = []
    for fold, equity in equities.items():
        trained = _read_by_backtest(lake, declared, fold, equity)
        for portfolio, trial in fold_trials(lake, declared, trained).items():
            kept = windows.get(trial_key(trial))
            if kept is None:
                problems.append(f"{portfolio} of fold {fold} is not among the counted trials")
            elif window_of(fold) not in kept:
                problems.append(f"{portfolio} of fold {fold} is counted without its returns")
    return problems


def _read_by_backtest(
    lake: Lake, declared: Declared, fold: str, equity: pl.DataFrame
) -> dict[str, Trained]:
    """Return the trainings that a stored backtest traded, superseded by now or not."""
    backtest = lake.record(declared.node("backtest").key, fold)
    assert backtest is not None
    read = {ref.asset: ref.content_digest for ref in backtest.inputs if ref.partition == fold}
    portfolios = equity["portfolio"].unique().to_list()
    return {
        agent: Trained(
            _commit_of(lake, node.key, fold, read.get(node.key)),
            sum(name.startswith(f"{agent}/seed-") for name in portfolios),
        )
        for agent, node in agent_nodes(declared).items()
    }


def _commit_of(lake: Lake, asset: str, fold: str, content: str | None) -> PartitionRecord:
    for commit in reversed(lake.history(asset, fold)):
        if commit.content_digest == content:
            return commit
    msg = (
        f"the backtest of fold {fold} did not trade what {asset} ever held; expected each declared"
        " agent in it: backtest the fold again"
    )
    raise DataError(msg)
