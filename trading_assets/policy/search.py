"""Searches an agent's parameters with Optuna: trained on a train window, scored on its validation.

What a trial draws follows from the declared seed, its number and the trials before it, so that one
process draws the same trials whether it was interrupted or not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from trading_assets.agent_specs import AgentSpec, DeclaredAgent
from trading_assets.errors import DataError
from trading_assets.forecast.windows import WindowLike
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.checkpoints import N_CHECKPOINTS
from trading_assets.policy.fold import TrainingTables, train_seeds
from trading_assets.policy.networks import Checkpoint
from trading_assets.policy.training import TrainingWatch
from trading_assets.policy.validation_returns import validation_returns
from trading_assets.search_specs import ChoiceSpec, IntRangeSpec, SearchSpec, with_parameters
from trading_assets.simulation.core import Floats
from trading_assets.strategy import Strategy

if TYPE_CHECKING:
    import optuna

DEVIATION_WEIGHT = 0.5
# Before that many trials nothing is pruned, and draws do not yet follow what was found.
STARTUP_TRIALS = 5

_PROCESS = "process"

Count = Callable[[int, DeclaredAgent], None]
"""Told the number and the agent of each trial before it is trained."""

Keep = Callable[[int, DeclaredAgent, NDArray[np.datetime64], Floats], None]
"""Told number and agent of each trial that is complete, with the sessions, datetime64[D] (T,), and
the mean over its seeds of their net returns, float64 (T,), on the validation days."""


def keep_nothing(
    number: int, agent: DeclaredAgent, sessions: NDArray[np.datetime64], returns: Floats
) -> None:
    """Pass over what a trial earned."""


@dataclass(frozen=True, slots=True)
class SearchedAgent:
    """What is searched: the windows and tables of one fold, an agent and its ranges.

    Attributes
    ----------
    tables : TrainingTables
        Rows of the train window; forecasts cross-fitted within it.
    window : WindowLike
        Training and validation days.
    strategy : Strategy
        Costs, limits, observations and reward.
    market_data : MarketDataSpec
        Universe and source.
    agent : DeclaredAgent
        Values of the fields that are not searched.
    search : SearchSpec
        Ranges, seeds and pruning.
    """

    tables: TrainingTables
    window: WindowLike
    strategy: Strategy
    market_data: MarketDataSpec
    agent: DeclaredAgent
    search: SearchSpec


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial as it is shown.

    Attributes
    ----------
    number : int
        In order of their start.
    state : str
        `complete`, `pruned`, `fail` or `running`.
    score : float or None
        Mean validation reward per bar over seeds less half of their standard deviation; of a pruned
        trial that of its last checkpoint.
    parameters : mapping
        What was drawn.
    problem : str
        Why it failed; empty unless it did.
    """

    number: int
    state: str
    score: float | None
    parameters: Mapping[str, Any]
    problem: str = ""


def open_study(name: str, storage: Path | str) -> "optuna.Study":
    """Open a study, or make it.

    Parameters
    ----------
    name : str
        Name within the storage.
    storage : Path or str
        A file that several processes may append to, or a SQLAlchemy address.

    Raises
    ------
    DataError
        If the address is none, or nothing answers at it; the message holds no password.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        opened = _opened(storage)
        return optuna.create_study(
            study_name=name, storage=opened, direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, ImportError, ValueError, optuna.exceptions.StorageInternalError):
        msg = (
            f"--storage {_without_password(storage)} cannot be used; expected a database that"
            " answers, such as sqlite:////folder/search.db or postgresql://host/database"
        )
        # The cause may print the address with its password.
        raise DataError(msg) from None


def fail_abandoned(study: "optuna.Study", is_gone: Callable[[str], bool]) -> None:
    """Mark trials failed whose process, as `run_trials` was told it, is gone."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if is_gone(str(trial.user_attrs.get(_PROCESS, ""))):
            study.tell(trial.number, state=TrialState.FAIL)


def run_trials(
    study: "optuna.Study",
    searched: SearchedAgent,
    n_trials: int,
    count: Count,
    process: str = "",
    keep: Keep = keep_nothing,
) -> None:
    """Run trials in this process and keep each in the study.

    A trial whose training is refused counts as failed, with the reason; an interrupted one too.

    Parameters
    ----------
    study : Study
        As `open_study` returns it; other processes may add to it at the same time.
    searched : SearchedAgent
        What is searched.
    n_trials : int
        Trials of this call.
    count : callable
        Told of each trial before it is trained, so that one that is killed is counted too.
    process : str, optional
        Said of each trial, so that one whose process is gone can be told from one that runs.
    keep : callable, optional
        Told what each complete trial earned on the validation days; a pruned or failed one has
        nothing to tell.
    """
    import optuna

    spec = searched.search
    warm = N_CHECKPOINTS * min(spec.seeds - 1, 1)
    study.pruner = (
        optuna.pruners.MedianPruner(STARTUP_TRIALS, n_warmup_steps=warm)
        if spec.prune
        else optuna.pruners.NopPruner()
    )
    for _ in range(n_trials):
        trial = study.ask()
        trial.set_user_attr(_PROCESS, process)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP_TRIALS,
            multivariate=False,
            seed=int(np.random.SeedSequence([spec.seed, trial.number]).generate_state(1)[0]),
        )
        try:
            _run_trial(study, trial, searched, count, keep)
        except BaseException:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise


def trial_rows(study: "optuna.Study") -> list[TrialRow]:
    """Return the trials of a study in order of their numbers."""
    return [
        TrialRow(
            number=trial.number,
            state=trial.state.name.lower(),
            score=trial.value,
            parameters=dict(trial.params),
            problem=str(trial.user_attrs.get("problem", "")),
        )
        for trial in study.get_trials(deepcopy=False)
    ]


def best_row(rows: Sequence[TrialRow]) -> TrialRow | None:
    """Return the complete trial with the highest score, the first of equal ones; None without."""
    complete = [
        (row.score, row) for row in rows if row.state == "complete" and row.score is not None
    ]
    return max(complete, key=lambda found: found[0])[1] if complete else None


def search_score(scores: Sequence[float]) -> float:
    """Return the mean of seeds' validation scores less half of their sample standard deviation."""
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    return float(np.mean(scores)) - DEVIATION_WEIGHT * spread


def _run_trial(
    study: "optuna.Study",
    trial: "optuna.Trial",
    searched: SearchedAgent,
    count: Count,
    keep: Keep,
) -> None:
    import optuna

    drawn = {name: _draw(trial, name, spec) for name, spec in searched.search.parameters.items()}
    try:
        agent = _agent_of(searched, drawn)
        count(trial.number, agent)
        watch = TrainingWatch(report=_Pruning(trial))
        trained = train_seeds(
            searched.tables,
            searched.window,
            searched.strategy,
            searched.market_data,
            agent,
            watch,
        )
        score = search_score(trained.validation_scores)
        if trained.problems or not np.isfinite(score):
            problems = trained.problems or [f"the score was {score}; expected a finite one"]
            _fail(study, trial, "; ".join(problems))
            return
        earned = validation_returns(searched.tables, searched.window, trained.tracks)
        keep(trial.number, agent, *earned)
        study.tell(trial, score)
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except DataError as error:
        _fail(study, trial, str(error))


def _fail(study: "optuna.Study", trial: "optuna.Trial", problem: str) -> None:
    import optuna

    trial.set_user_attr("problem", problem)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)


class _Pruning:
    """Reports checkpoints to a trial and ends one that is behind."""

    def __init__(self, trial: "optuna.Trial") -> None:
        self._trial = trial
        self._by_seed: dict[int, list[float]] = {}

    def __call__(self, seed: int, checkpoint: Checkpoint) -> None:
        import optuna

        scores = self._by_seed.setdefault(seed, [])
        scores.append(checkpoint.score)
        newest = [found[-1] for found in self._by_seed.values()]
        self._trial.report(float(np.mean(newest)), seed * N_CHECKPOINTS + len(scores) - 1)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def _draw(trial: "optuna.Trial", name: str, spec: Any) -> Any:  # noqa: ANN401
    if isinstance(spec, ChoiceSpec):
        return trial.suggest_categorical(name, list(spec.values))
    if isinstance(spec, IntRangeSpec):
        return trial.suggest_int(name, spec.low, spec.high, log=spec.log)
    return trial.suggest_float(name, spec.low, spec.high, log=spec.log)


def _agent_of(searched: SearchedAgent, drawn: Mapping[str, Any]) -> Any:  # noqa: ANN401
    agent: AgentSpec = searched.agent
    try:
        return with_parameters(agent, {**drawn, "seeds": searched.search.seeds})
    except ValidationError as error:
        told = error.errors(include_url=False)[0]["msg"]
        msg = f"{dict(drawn)} do not fit together ({told}); narrow the ranges"
        raise DataError(msg) from error


def _opened(storage: Path | str) -> "optuna.storages.BaseStorage":
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if isinstance(storage, Path):
        storage.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(storage)))
    # Another process may write the same SQLite file.
    waiting = {"connect_args": {"timeout": 60}} if storage.startswith("sqlite") else None
    return RDBStorage(storage, engine_kwargs=waiting)


def _without_password(storage: Path | str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(str(storage)).render_as_string(hide_password=True)
    except ArgumentError:
        return "address"
