"""What moved an ensemble's actions: integrated gradients of raw weights by named input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.integrated_gradients import integrate_gradients
from trading_assets.policy.differentiable_policy import DifferentiableEnsemble
from trading_assets.policy.input_names import ObservedInput, name_inputs
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.simulation.account_rows import Accounts, whole_observations
from trading_assets.simulation.core import Floats
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.trackers.tracker import Memory


@dataclass(frozen=True, slots=True)
class ActionAttributions:
    """What inputs add to raw weights, from the baseline to what was seen.

    Attributes
    ----------
    inputs : tuple of ObservedInput
        J inputs; bars of different age are summed.
    contributions : float64 (T, N, J)
        Of each input to each symbol's weight.
    raw_weights, at_baseline : float64 (T, N)
        Weights before confidence and limits, and what they are at the baseline.
    completeness_error : float
        Largest remainder over the mean absolute change.
    form_gap : float
        Largest difference of weights between what was differentiated and what acts.
    """

    inputs: tuple[ObservedInput, ...]
    contributions: Floats
    raw_weights: Floats
    at_baseline: Floats
    completeness_error: float
    form_gap: float


def attribute_actions(
    policies: Sequence[TrainedPolicy],
    observations: NDArray[np.float32],
    baseline: NDArray[np.floating],
    memories: Sequence[Floats] | None = None,
) -> ActionAttributions:
    """Return what each named input adds to an ensemble's weights before confidence and limits.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        Members with the same rules, or an `Ensemble`.
    observations : float32 (T, n_inputs)
        What was seen at each close.
    baseline : floating (n_inputs,)
        What contributions are measured from, see `baseline_observation`.
    memories : sequence of float64 (T, n_memory), optional
        What each member remembered at each close; nothing by default. A recurrent member is
        explained for one bar: what it remembers is held fixed, at the baseline too, so that what
        earlier bars left in it is part of `at_baseline`.

    Raises
    ------
    DataError
        If a member chooses among levels.
    """
    if memories is None:
        memories = [np.zeros((len(observations), policy.n_memory)) for policy in policies]
    ensemble = DifferentiableEnsemble(policies)
    found = integrate_gradients(ensemble, observations.astype(np.float64), baseline, memories)
    names = name_inputs(policies[0].rules)
    return ActionAttributions(
        inputs=names.inputs,
        contributions=names.sum_columns(found.contributions),
        raw_weights=found.outputs,
        at_baseline=found.at_baseline,
        completeness_error=found.completeness_error,
        form_gap=ensemble.form_gap(observations, memories),
    )


def baseline_observation(task: TradingTask, rows: Rows) -> Floats:
    """Return the mean observation at the closes of rows by an account that holds only cash.

    Measured from it, a contribution says what was unusual: a bar of the train window's mean moves
    nothing, and neither does an account before its first trade. An observation of zeros would say
    that of the median feature, but not of forecasts or masks, which are no deviations from
    anything.

    Parameters
    ----------
    task : TradingTask
        What is observed.
    rows : int64 (K,)
        Rows of the train window, each with a whole window of bars.
    """
    n_rows, n_symbols = len(rows), len(task.market.symbols)
    flat = np.zeros((n_rows, n_symbols))
    pending = np.zeros((n_rows, task.costs.latency_bars - 1, n_symbols))
    new = Accounts(flat, pending, Memory(task.trackers, n_rows))
    return whole_observations(task, rows, new).mean(axis=0, dtype=np.float64)
