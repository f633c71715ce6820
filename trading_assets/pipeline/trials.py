"""Counts what is tried on a data set, where it is made: nobody has to remember to.

Counted is what can be chosen to be traded: each agent of a declaration, with its sizes as they ran
and with the rule that weighs its seeds, as soon as it is trained; the ensemble of several agents;
each draw of a search, before it is trained. Variants are declarations of their own. The same
configuration counts once, however often and on however many folds it is made. Another one is also
the same declaration trained on a data set that is declared otherwise, by other code, or with own
modules that have changed: it may earn something else, and what was earned before stays.

Not counted, as nothing chooses among them what is traded: baselines and references, which agents
are held against; single seeds, whose choice the probability of overfitting looks at instead; the
arm of an ablation without forecasts, which counts once it is declared; checkpoints and candidates
of the forecaster, chosen on validation days within a fold, so that the test days judge the choice
too; preferences of a Pareto set, measured on validation days, of which another one has to be
declared; oracle ladders, which trade no data set. A night's challenger is a configuration that is
counted, fitted again: it is held against the champion on days of its own, which no report reads.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from trading_assets.asset_nodes import digest
from trading_assets.ensemble_specs import MeanActionSpec
from trading_assets.lake.store import CountedTrial, Lake, PartitionRecord, Trial, TrialReturns
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.made_with import MADE_WITH

ENSEMBLE = "ensemble"


@dataclass(frozen=True, slots=True)
class Trained:
    """An agent as it was trained on one fold: the commit of its policies, and their number."""

    record: PartitionRecord
    seeds: int


def count_policy(lake: Lake, declared: Declared, agent: str, trained: Trained) -> None:
    """Count an agent that was trained, if its configuration is new."""
    lake.register_trial(_agent_trial(lake, declared, agent, trained))


def count_backtest(
    lake: Lake,
    declared: Declared,
    trained: Mapping[str, Trained],
    fold: str,
    equity: pl.DataFrame | None,
) -> None:
    """Count what a fold traded and keep the net returns of its test window.

    Parameters
    ----------
    lake : Lake
        Holds the ledger.
    declared : Declared
        The strategy.
    trained : mapping of str to Trained
        Agents that were traded.
    fold : str
        Key of the fold.
    equity : DataFrame or None
        Table `equity` of the fold; None where it was refused, and is then counted without returns.
    """
    from trading_assets.backtest.net_returns import net_returns

    initial_usd = declared.trading.backtest.initial_equity_usd
    for portfolio, trial in fold_trials(lake, declared, trained).items():
        if equity is None:
            lake.register_trial(trial)
        else:
            sessions, returns = net_returns(equity, portfolio, initial_usd)
            lake.keep_trial_returns(trial, TrialReturns(window_of(fold), sessions, returns))


def fold_trials(lake: Lake, declared: Declared, trained: Mapping[str, Trained]) -> dict[str, Trial]:
    """Return what a fold traded that counts as tried, by portfolio."""
    trials = {
        f"{agent}/{ENSEMBLE}": _agent_trial(lake, declared, agent, own)
        for agent, own in trained.items()
    }
    if len(trials) > 1:
        trials[ENSEMBLE] = _ensemble_trial(declared, list(trials.values()))
    return trials


def window_of(fold: str) -> str:
    """Return the name under which returns of a fold's test window are kept."""
    return f"test {fold}"


def trial_series(counted: Sequence[CountedTrial]) -> list[Any]:
    """Return counted trials as `TrialSeries`, in their order."""
    from trading_assets.backtest.trials import chain_windows

    return [
        chain_windows(
            f"{own.trial.strategy}/{own.trial.agent}",
            [(window.sessions, window.returns) for window in own.returns],
        )
        for own in counted
    ]


def mirrored_trials(counted: Sequence[CountedTrial]) -> list[Any]:
    """Return counted trials as `MirroredTrial`, in their order."""
    from trading_assets.backtest.metrics import sharpe_annual
    from trading_assets.governance.trial_mirror import MirroredTrial

    return [
        MirroredTrial(
            key=trial_key(own.trial),
            name=series.label,
            params=_params(own.trial),
            sharpe_annual=sharpe_annual(series.returns),
        )
        for own, series in zip(counted, trial_series(counted), strict=True)
    ]


def trial_key(trial: Trial) -> str:
    """Return the sha256 of what makes a trial another one."""
    return digest(
        [trial.data_set, trial.strategy, trial.agent, trial.declaration_digest, trial.seeds]
    )


def _params(trial: Trial) -> dict[str, object]:
    """Return the values of the agent, or the members of the ensemble, under dotted names."""
    own = trial.config.get("agent", {key: trial.config.get(key) for key in ("members", ENSEMBLE)})
    return {
        "strategy": trial.strategy,
        "agent": trial.agent,
        "declaration_digest": trial.declaration_digest,
        **dict(list(_flat(own))[:90]),
        "seeds": trial.seeds,
    }


def _flat(values: Any, name: str = "") -> Iterator[tuple[str, object]]:
    if not isinstance(values, dict):
        yield name, values
        return
    for key, value in values.items():
        yield from _flat(value, f"{name}.{key}" if name else str(key))


def _agent_trial(lake: Lake, declared: Declared, agent: str, trained: Trained) -> Trial:
    rule = declared.trading.policy.ensemble
    config = lake.document(trained.record.config_digest)
    declaration = digest([trained.record.declaration_digest, config.get(MADE_WITH)])
    if trained.seeds > 1 and not isinstance(rule, MeanActionSpec):
        # The same seeds weighed otherwise are another portfolio.
        weighed = rule.model_dump(mode="json")
        config = {**config, ENSEMBLE: weighed}
        declaration = digest([declaration, weighed])
    data_set = declared.trading.market_data
    return Trial(data_set, declared.name, agent, declaration, trained.seeds, config)


def _ensemble_trial(declared: Declared, members: Sequence[Trial]) -> Trial:
    config = {
        "members": {
            trial.agent: {"declaration_digest": trial.declaration_digest, "seeds": trial.seeds}
            for trial in members
        },
        ENSEMBLE: declared.trading.policy.ensemble.model_dump(mode="json"),
        MADE_WITH: members[0].config.get(MADE_WITH),
    }
    seeds = sum(trial.seeds for trial in members)
    data_set = declared.trading.market_data
    return Trial(data_set, declared.name, ENSEMBLE, digest(config), seeds, config)
