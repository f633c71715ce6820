"""The command `trading-assets search`: trials of an agent's parameters on one stored fold."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.asset_nodes import AssetNode, digest
from trading_assets.backtest.folds import get_fold
from trading_assets.declaration_mistakes import expected_names
from trading_assets.errors import UserError, shown
from trading_assets.lake.store import Trial, TrialReturns
from trading_assets.periods import Axis
from trading_assets.pipeline.declared import Declared, declared_strategy
from trading_assets.pipeline.instance import is_process_gone, process_identity
from trading_assets.pipeline.made_with import MADE_WITH
from trading_assets.pipeline.market_values import market_values
from trading_assets.pipeline.policy import training_tables
from trading_assets.pipeline.resources import tracking_of
from trading_assets.pipeline.settings import Settings, open_lake, read_settings
from trading_assets.pipeline.task import Task
from trading_assets.pipeline.trials import mirrored_trials

if TYPE_CHECKING:
    from trading_assets.policy.search import TrialRow

STUDIES_FILE = "studies.log"


def search_parameters(
    strategy: str, agent: str | None, fold: str | None, trials: int | None, storage: str | None
) -> None:
    """Run trials of an agent's parameters, count each, and print them with the best.

    Parameters
    ----------
    strategy : str
        Declared strategy.
    agent : str or None
        Agent whose search is declared; None for the only one.
    fold : str or None
        Fold on whose train window is trained and on whose validation window is scored; None for the
        first, whose windows end before every test window.
    trials : int or None
        Trials of this call; None for as many as are declared.
    storage : str or None
        SQLAlchemy address of the trials; None for a file in the data folder.

    Raises
    ------
    UserError
        If the strategy, agent or fold is not declared, an input is not stored, or the storage does
        not answer.
    """
    from trading_assets.policy.search import (
        SearchedAgent,
        best_row,
        fail_abandoned,
        open_study,
        run_trials,
        trial_rows,
    )

    settings = read_settings()
    declarations = settings.declarations()
    declarations.strategy(strategy)
    declared = declared_strategy(strategy, declarations)
    agent = _searched_agent(declared, agent)
    spec, search = declared.trading.policy.agents[agent], declared.trading.policy.search[agent]
    task = _task(settings, declared, agent, fold)
    lake, data_set = task.lake, declared.trading.market_data
    tried_on = {"market_data": market_values(declared.market)}
    basis = _basis(task, spec, search.model_dump(mode="json", exclude={"trials", "prune"}))
    name = f"{strategy}/{agent}/{task.key}/{digest(basis)[:16]}"
    study = open_study(name, storage or settings.data / "search" / STUDIES_FILE)
    fail_abandoned(study, is_process_gone)
    searched = SearchedAgent(
        training_tables(task),
        get_fold(task.key, declared.trading.folds),
        declared.trading,
        declared.market,
        spec,
        search,
    )

    def trial_of(number: int, drawn: DeclaredAgent) -> Trial:
        told = {"agent": drawn.model_dump(mode="json"), "trial": number, MADE_WITH: tried_on}
        config = {**basis, **told}
        return Trial(data_set, strategy, agent, digest(config), search.seeds, config)

    def count(number: int, drawn: DeclaredAgent) -> None:
        lake.register_trial(trial_of(number, drawn))

    def keep(number: int, drawn: DeclaredAgent, sessions: Any, returns: Any) -> None:
        own = TrialReturns(f"validation {task.key}", sessions, returns)
        lake.keep_trial_returns(trial_of(number, drawn), own)

    n_trials = search.trials if trials is None else trials
    run_trials(study, searched, n_trials, count, process_identity(), keep)
    rows = trial_rows(study)
    _print_trials(name, rows)
    best = best_row(rows)
    told = _fragment(agent, spec, best.parameters) if best else "no trial is complete yet"
    Console().print(told, markup=False, highlight=False, soft_wrap=True)
    counted = mirrored_trials(lake.counted_trials(data_set))
    tracking_of(settings).mirror_trials(data_set, counted)


def _searched_agent(declared: Declared, agent: str | None) -> str:
    searches = declared.trading.policy.search
    if agent is not None and agent in searches:
        return agent
    if agent is None and len(searches) == 1:
        return next(iter(searches))
    told = "--agent was left out" if agent is None else f"--agent was {shown(agent)}"
    msg = (
        f"{told}; policy.search of {declared.name}: {expected_names(agent or '', searches)}, so"
        " name one whose search is declared"
    )
    raise UserError(msg)


def _task(settings: Settings, declared: Declared, agent: str, fold: str | None) -> Task:
    node = declared.node(f"policy/{agent}")
    now = datetime.now(UTC)
    keys = declared.graph.periods.keys(Axis.FOLD, now)
    if not keys or (fold is not None and fold not in keys):
        msg = f"--fold was {shown(fold)}; {expected_names(fold or '', keys)}"
        raise UserError(msg)
    return Task(declared, node, open_lake(settings), now, [fold or keys[0]], run_id="")


def _basis(task: Task, agent: DeclaredAgent, search: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that scores depend on: trials of one study can be compared."""
    node: AssetNode = task.node
    return {
        **node.depends_on,
        "agent": agent.model_dump(mode="json"),
        "search": search,
        "fold": task.key,
        "code_version": node.code_version,
        "inputs": [[ref.asset, ref.partition, ref.content_digest] for ref in task.refs(task.key)],
    }


def _print_trials(name: str, rows: "list[TrialRow]") -> None:
    import polars as pl

    from trading_assets.shown_tables import print_table

    told = (
        f"study {name}, {len(rows)} trials; a score is the mean validation reward per bar over"
        " seeds less half of its standard deviation"
    )
    Console().print(told, markup=False, highlight=False, soft_wrap=True)
    parameters = list(dict.fromkeys(key for row in rows for key in row.parameters))
    table = [
        {
            "trial": str(row.number),
            "state": row.state,
            "score": "" if row.score is None else f"{row.score:.4e}",
            **{key: _text(row.parameters.get(key, "")) for key in parameters},
            "problem": row.problem,
        }
        for row in rows
    ]
    print_table(pl.DataFrame(table), len(table))


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _fragment(agent: str, spec: DeclaredAgent, parameters: Mapping[str, Any]) -> str:
    declared = {"algorithm": spec.algorithm, **spec.model_dump(mode="json", exclude_unset=True)}
    best = {"policy": {"agents": {agent: {**declared, **parameters}}}}
    return f"the best, to paste into the declaration:\n{yaml.safe_dump(best, sort_keys=False)}"
