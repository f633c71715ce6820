"""What a policy observes and what its actions mean: one code for training, backtest and paper.

All inputs are of order 1 without fitted statistics: features arrive scaled, and a null becomes 0
beside a mask that says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.policy.compiled.actions import weigh_actions
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.rebalance_specs import WeeklySpec, is_every_bar
from trading_assets.risk.projection import pack_limits, project_weights
from trading_assets.risk.rebalance_rule import weights_to_trade
from trading_assets.simulation.compiled.environment import show_accounts
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import panels_of
from trading_assets.simulation.rewards.reward import Rows

FORECAST_COLUMNS = (
    "p_down",
    "p_flat",
    "p_up",
    "expected_return",
    "sigma_return",
    "sigma_noise",
    "sigma_expected_return",
    "interval_low",
    "interval_high",
)
# Forecasts of daily returns are faint: differences of 0.1 in probability are large ones.
_FORECAST_SCALE = np.array([4.0, 10.0, 4.0, 4.0, 1.0, 1.0])
# Half the width of a normal variable's 90 % interval, in deviations.
_USUAL_HALF_WIDTH = 1.645
_CLIP = 5.0
# A long-short book under a cost mostly uses about a quarter of its limit.
_TYPICAL_SHARE = {True: 1.0, False: 0.25}


def build_context(
    features: pl.DataFrame,
    forecasts: pl.DataFrame,
    rules: DecisionRules,
    sessions: NDArray[np.datetime64],
    tradable: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return the part of observations that does not depend on the account.

    Parameters
    ----------
    features, forecasts : DataFrame
        Tables `features` and `forecasts`; sessions without a row become 0 with mask 0.
    rules : DecisionRules
        What is observed, in which order.
    sessions : datetime64[D] (T,)
        Rows asked for.
    tradable : bool (T, N)
        Symbols that may be held.

    Returns
    -------
    float32 (T, N x (features + forecasts + 1))
        Symbol after symbol: observed features, forecast inputs, and 1 where the symbol is tradable
        and none of these was null. Known at each session's close.

    Raises
    ------
    DataError
        If an observed feature is not a column of `features`.
    """
    missing = [name for name in rules.observed_features if name not in features.columns]
    if missing:
        msg = (
            f"observed features {', '.join(missing)} are not computed; list them under"
            " features.names or take them out of policy.observed_features"
        )
        raise DataError(msg)
    observed: dict[str, Floats] = {}
    forecast: dict[str, Floats] = {}
    if rules.observed_features:
        observed = panels_of(features, rules.symbols, sessions, rules.observed_features)
    if rules.uses_forecasts:
        forecast = panels_of(forecasts, rules.symbols, sessions, FORECAST_COLUMNS)
        forecast |= panels_of(features, rules.symbols, sessions, (VOLATILITY_COLUMN,))
    return context_of(observed, forecast, rules, tradable)


def context_of(
    observed: Mapping[str, Floats],
    forecast: Mapping[str, Floats],
    rules: DecisionRules,
    tradable: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return `build_context` of panels float64 (T, N), nan where there is no row or a null.

    `observed` are the observed features, `forecast` the `FORECAST_COLUMNS` and the volatility,
    where forecasts are shown.
    """
    blocks = [observed[name] for name in rules.observed_features]
    if rules.uses_forecasts:
        blocks += show_forecasts(forecast)
    values = np.stack(blocks, axis=-1) if blocks else np.zeros((*tradable.shape, 0))
    return assemble_context(values, tradable)


def assemble_context(values: Floats, tradable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return inputs (T, N, F), nan as 0 beside masks, clipped, as float32 (T, N x (F + 1))."""
    is_known = np.isfinite(values)
    clipped = np.where(is_known, np.clip(values, -_CLIP, _CLIP), 0.0)
    mask = tradable & is_known.all(axis=-1)
    context = np.concatenate([clipped, mask[..., None]], axis=-1)
    return context.reshape(len(values), -1).astype(np.float32)


def show_forecasts(panels: Mapping[str, Floats]) -> list[Floats]:
    """Return what is shown of forecasts, (T, N) for each of `FORECAST_INPUTS`, of order 1.

    Parameters
    ----------
    panels : mapping of str to float64 (T, N)
        Columns of `forecasts`, and of `features` the volatility; nan where there is no row.

    Returns
    -------
    list of float64 (T, N)
        The probability of a rise less that of a fall; how far the classes are from equal, 1 less
        their entropy over ln 3; the expected return and its own error over the deviation of the
        return; the logarithm of the noise over the volatility of one bar; and half the width of
        the interval over the deviation, less what it is for a normal variable.
    """
    probabilities = np.stack([panels[name] for name in ("p_down", "p_flat", "p_up")], axis=-1)
    floor = np.maximum(probabilities, 1e-12)
    entropy = -(probabilities * np.log(floor)).sum(axis=-1)
    sigma, volatility = panels["sigma_return"], panels[VOLATILITY_COLUMN]
    # Without a volatility there is no forecast either.
    is_moving = volatility > 0.0
    noise = np.divide(panels["sigma_noise"], volatility, out=np.ones_like(sigma), where=is_moving)
    width = panels["interval_high"] - panels["interval_low"]
    raw = (
        panels["p_up"] - panels["p_down"],
        1.0 - entropy / np.log(3.0),
        panels["expected_return"] / sigma,
        panels["sigma_expected_return"] / sigma,
        np.log(noise),
        0.5 * width / sigma - _USUAL_HALF_WIDTH,
    )
    return [
        np.clip(value * scale, -_CLIP, _CLIP)
        for value, scale in zip(raw, _FORECAST_SCALE, strict=True)
    ]


def shown_confidence(context: NDArray[np.float32], rules: DecisionRules) -> Floats | None:
    """Return the probability of a rise less that of a fall that a context shows, float64 (T, N).

    0 where there is no forecast; None where forecasts are not shown.
    """
    if not rules.uses_forecasts:
        return None
    inputs = context.reshape(len(context), len(rules.symbols), -1)
    return inputs[:, :, len(rules.observed_features)].astype(np.float64) / _FORECAST_SCALE[0]


def build_observation(
    context: NDArray[np.float32],
    held: Floats,
    rules: DecisionRules,
    tracked: Floats | None = None,
) -> NDArray[np.float32]:
    """Return observations: the context, the weights held and, under equity sizing, the cash share.

    Parameters
    ----------
    context : float32 (K, ...)
        Rows of `build_context`, or windows of them one row after the other.
    held : float64 (K, N)
        Weights held at the close, drifted with prices.
    rules : DecisionRules
        Limits give the weights' scale.
    tracked : float64 (K, ...), optional
        What trackers show of the accounts, where the rules name any.

    Returns
    -------
    float32 (K, n_inputs)
        Known at the close.
    """
    shows_cash = rules.sizing == "equity"
    width = context.shape[1]
    seen = np.empty((len(context), width + held.shape[1] + shows_cash), dtype=np.float32)
    seen[:, :width] = context
    weights = np.ascontiguousarray(held, dtype=np.float64)
    show_accounts(weights, held_scale(rules), shows_cash, width, seen)
    return seen if tracked is None else np.column_stack([seen, tracked.astype(np.float32)])


def held_scale(rules: DecisionRules) -> float:
    """Return what held weights are divided by in observations, so that they are of order 1."""
    return rules.limits.max_weight * _TYPICAL_SHARE[rules.limits.is_long_only]


def raw_weights(actions: NDArray[np.floating], rules: DecisionRules) -> Floats:
    """Return the weights before limits that actions in [-1, 1] stand for.

    Long-short: action times `max_weight`; long-only: -1 is no position and 1 is `max_weight`.
    """
    bounded = np.clip(actions.astype(np.float64), -1.0, 1.0)
    if rules.limits.is_long_only:
        bounded = 0.5 * (bounded + 1.0)
    return bounded * rules.limits.max_weight


@dataclass(frozen=True)
class PolicyView:
    """Rows of a market as a policy sees them; the `DecisionView` of the simulation.

    Attributes
    ----------
    rules : DecisionRules
        What is observed and what actions mean.
    context : float32 (T, ...)
        `build_context` of every row.
    tradable : bool (T, N)
        Symbols that may be held at every row.
    factors : float64 (T, N), optional
        `confidence_factors` of every row.
    begins_week : bool (T,), optional
        `ends_week` of the market's sessions: whether what is decided at a row fills in a week's
        first session; needed where the rules rebalance weekly.

    Raises
    ------
    DataError
        If the rules rebalance weekly and weeks are not told.
    """

    rules: DecisionRules
    context: NDArray[np.float32]
    tradable: NDArray[np.bool_]
    factors: Floats | None = None
    begins_week: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse a weekly rule without weeks."""
        if isinstance(self.rules.rebalance, WeeklySpec) and self.begins_week is None:
            msg = "begins_week was missing under rebalance weekly; expected a flag for each row"
            raise DataError(msg)

    @property
    def window_bars(self) -> int:
        """Rows of the context that an observation covers."""
        return self.rules.window_bars

    @property
    def held_scale(self) -> float:
        """What held weights are divided by where a policy sees them."""
        return held_scale(self.rules)

    @property
    def shows_cash(self) -> bool:
        """Whether a policy sees the share of cash."""
        return self.rules.sizing == "equity"

    @cached_property
    def _bounds(self) -> Floats | None:
        """Limits that have a closed form, as kernels read them."""
        limits = self.rules.limits
        return (
            pack_limits(limits, len(self.rules.symbols)).bounds if limits.is_closed_form else None
        )

    @cached_property
    def _kernel_factors(self) -> Floats:
        """Factors as the kernel reads them: no row where weights are taken as they are."""
        factors = self.factors
        return np.ones((0, 1)) if factors is None else np.ascontiguousarray(factors)

    def size_weights(self, raw: Floats, rows: Rows) -> Floats:
        """Return raw weights (K, N) by how sure the forecasts at each row's close are."""
        return raw if self.factors is None else raw * self.factors[rows]

    def target_weights(self, actions: NDArray[np.floating], rows: Rows, held: Floats) -> Floats:
        """Return weights float64 (K, N) within the limits, as the rebalance rule trades them."""
        limits = self.rules.limits
        if self._bounds is None:
            raw = self.size_weights(raw_weights(actions, self.rules), rows)
            return self.project(raw, rows, held)
        weights = np.empty(actions.shape)
        weigh_actions(
            np.ascontiguousarray(actions),
            limits.max_weight,
            limits.is_long_only,
            self._kernel_factors,
            self.tradable,
            rows,
            self._bounds,
            weights,
        )
        return self._rebalance(weights, rows, held)

    def limit(self, raw: Floats, rows: Rows, held: Floats) -> Floats:
        """Return the weights float64 (K, N) that limits leave of raw ones."""
        return project_weights(raw, self.rules.limits, self.tradable[rows], held)

    def project(self, raw: Floats, rows: Rows, held: Floats) -> Floats:
        """Return the weights float64 (K, N) that limits and the rebalance rule leave of raw ones.

        To be asked once for each decision, with the weights that are held then.
        """
        return self._rebalance(self.limit(raw, rows, held), rows, held)

    def _rebalance(self, decided: Floats, rows: Rows, held: Floats) -> Floats:
        rules, weeks = self.rules, self.begins_week
        if is_every_bar(rules.rebalance):
            return decided
        begins = np.zeros(len(rows), dtype=np.bool_) if weeks is None else weeks[rows]
        return weights_to_trade(
            rules.rebalance, decided, held, begins, rules.limits, self.tradable[rows]
        )
