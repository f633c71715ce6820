"""The decision for one session: the same code for paper trading, scoring and replay."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.tables import ForecastTables
from trading_assets.policy.acting import Acting, Carried
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.confidence import confidence_factors, size_by_factors
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.loaded_bundle import read_forecaster, read_start_state
from trading_assets.policy.observation import build_context, build_observation
from trading_assets.rebalance_specs import WeeklySpec
from trading_assets.risk.limits import WeightLimits
from trading_assets.risk.projection import binding_limits, project_weights
from trading_assets.risk.rebalance_rule import name_held_back, weights_to_trade
from trading_assets.schema import TABLES
from trading_assets.simulation.core import Floats
from trading_assets.simulation.trackers.remembered import Remembered, show_remembered

if TYPE_CHECKING:
    from trading_assets.forecast.forecaster import Forecaster

# Features reach back far enough to make up for so many sessions that were not decided on.
_MOST_MISSED_SESSIONS = 21

FallbackRule = Literal["equal_weight", "cash"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Target weights decided at the close of a session, to be filled at the next open.

    Attributes
    ----------
    session : date
        Session at whose close was decided; nothing later was used.
    symbols : tuple of str
        Order of the arrays.
    tradable : bool (N,)
        Symbols that may be held.
    raw_weights, weights : float64 (N,)
        Targets before and after limits and the rebalance rule, both by the confidence of forecasts
        where it is declared.
    binding_limits : tuple of str
        For each symbol the limits that changed its weight, and `rebalance` where that rule did,
        joined by `+`, or empty.
    forecasts : DataFrame
        Table `forecasts` of the session; empty when none was used.
    decided_by : str
        Digest of the bundle, or the name of the fallback rule.
    remembered : mapping
        What a session's record keeps of the account for the next decision.
    carried : sequence of sequence of float
        What each member of the bundle carries on to the next session's close.
    forecast_state : mapping
        JSON values of what the next session's intervals go on from; empty without forecasts.
    """

    session: date
    symbols: tuple[str, ...]
    tradable: NDArray[np.bool_]
    raw_weights: Floats
    weights: Floats
    binding_limits: tuple[str, ...]
    forecasts: pl.DataFrame
    decided_by: str
    remembered: Mapping[str, Any] = field(default_factory=dict[str, Any])
    carried: Carried = ()
    forecast_state: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Account:
    """What a decision knows of the account, as in `decide`."""

    held_weights: Mapping[str, float]
    remembered: Remembered | None = None
    carried: Carried | None = None


@dataclass(frozen=True, slots=True)
class SeenSession:
    """What a decision knows of a session beside the account.

    Attributes
    ----------
    session : date
        At whose close is decided.
    context : float32 (1, ...)
        Rows of `build_context` that are shown, the newest last, side by side.
    tradable : bool (N,)
        Symbols that may be held.
    factors : float64 (1, N), optional
        `confidence_factors` of the session.
    forecasts : DataFrame
        Table `forecasts` of the session.
    forecast_state : mapping
        What the next session's intervals go on from.
    begins_week : bool, optional
        As in `decide`.
    """

    session: date
    context: NDArray[np.float32]
    tradable: NDArray[np.bool_]
    factors: Floats | None
    forecasts: pl.DataFrame
    forecast_state: Mapping[str, Any]
    begins_week: bool | None = None


def decide(  # noqa: PLR0913  one argument for each input of a decision
    bundle: Bundle,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    series: pl.DataFrame,
    held_weights: Mapping[str, float],
    decision_session: date,
    symbols: Sequence[str] | None = None,
    remembered: Remembered | None = None,
    carried: Carried | None = None,
    forecast_state: Mapping[str, Any] | None = None,
    begins_week: bool | None = None,
) -> Decision:
    """Return the bundle's decision at the close of a session.

    Parameters
    ----------
    bundle : Bundle
        What decides.
    bars, actions, series : DataFrame
        Tables `validated_bars`, `corporate_actions` and `series`, with the 25 months before the
        session's month; rows after the session are ignored.
    held_weights : mapping of str to float
        Position values at that close over equity, or over the notional under constant sizing;
        symbols left out are not held.
    decision_session : date
        Session at whose close is decided.
    symbols : sequence of str, optional
        What the bundle's symbols are called now, in its order, where companies were renamed.
    remembered : mapping of str to sequence of float, optional
        State of each tracker that the bundle observes, at that close; `trackers.remembered` makes
        and advances it.
    carried : sequence of sequence of float, optional
        What each member carries from the session before; nothing where the account is new.
    forecast_state : mapping, optional
        That of the decision before, by the same bundle; the bundle's own without. After more than
        21 sessions without a decision, intervals start anew.
    begins_week : bool, optional
        Whether the session that fills the decision is the first of its week, as
        `bars.calendars.weeks.begins_week` tells; needed where the bundle rebalances weekly.

    Raises
    ------
    DataError
        If no symbol has a bar at the session, a held symbol is not in the bundle, or the bundle
        observes trackers and their states are missing or do not fit, or what its members carry does
        not, or it rebalances weekly and `begins_week` is missing.
    """
    from trading_assets.features.compute import compute_features

    rules = rules_now(bundle, symbols)
    known = bars.filter(pl.col("session") <= decision_session)
    tradable = tradable_at(known, rules.symbols, decision_session)
    sessions = known["session"].unique().sort().to_list()
    shown = shown_sessions(sessions, rules)
    entitled = actions.filter(pl.col("ex_date") <= decision_session)
    forecaster = read_forecaster(bundle)
    past = past_forecasts(bundle, rules.symbols, forecast_state, sessions)
    asked = asked_sessions(sessions, shown, past)
    n_needed = forecaster.count_sessions(len(asked)) if forecaster else len(shown)
    features = compute_features(
        known,
        entitled,
        series.filter(pl.col("session") <= decision_session),
        bundle.features,
        sessions[-n_needed:],
    )
    tables = ForecastTables(features, known, entitled)
    forecasts, after = _forecasts(forecaster, tables, asked, past)
    context = build_context(
        features,
        forecasts,
        rules,
        np.array(shown, dtype="datetime64[D]"),
        np.array([tradable_at(known, rules.symbols, session) for session in shown]),
    ).reshape(1, -1)
    own = forecasts.filter(pl.col("session") == decision_session)
    at = np.array([decision_session], dtype="datetime64[D]")
    factors = confidence_factors(own, rules, at)
    seen = SeenSession(decision_session, context, tradable, factors, own, after, begins_week)
    return decide_on_what_is_seen(bundle, rules, seen, Account(held_weights, remembered, carried))


def decide_on_what_is_seen(
    bundle: Bundle, rules: DecisionRules, seen: SeenSession, account: Account
) -> Decision:
    """Return the decision of a bundle's members on what they see of a session and the account.

    Raises
    ------
    DataError
        As `decide` does of the account.
    """
    held = np.array([_held_row(account.held_weights, rules)])
    tracked = show_remembered(rules.trackers, account.remembered)
    acting = Acting(bundle.members, 1)
    if account.carried is not None:
        acting.carry_on(account.carried)
    wanted = acting.raw_weights(build_observation(seen.context, held, rules, tracked))
    raw = size_by_factors(wanted, seen.factors)[0]
    origin = seen.forecasts, bundle.digest
    decided = _decision(
        seen.session, rules, seen.tradable, (raw, held[0]), origin, seen.begins_week
    )
    return replace(decided, carried=acting.carried(), forecast_state=seen.forecast_state)


def rules_now(bundle: Bundle, symbols: Sequence[str] | None) -> DecisionRules:
    """Return a bundle's rules under the names that its symbols have now.

    Raises
    ------
    DataError
        If its policies were trained for a later fill than the next open.
    """
    rules = bundle.rules if symbols is None else replace(bundle.rules, symbols=tuple(symbols))
    if rules.latency_bars != 1:
        msg = (
            f"policies decide for an open {rules.latency_bars} bars ahead, and a session fills at"
            " the next one; declare costs.latency_bars 1 and train again"
        )
        raise DataError(msg)
    return rules


def narrow_decision(decision: Decision, symbols: Sequence[str]) -> Decision:
    """Return a decision on those of its symbols that are among `symbols`."""
    kept = [place for place, name in enumerate(decision.symbols) if name in symbols]
    if len(kept) == len(decision.symbols):
        return decision
    return replace(
        decision,
        symbols=tuple(decision.symbols[place] for place in kept),
        tradable=decision.tradable[kept],
        raw_weights=decision.raw_weights[kept],
        weights=decision.weights[kept],
        binding_limits=tuple(decision.binding_limits[place] for place in kept),
    )


def decide_by_fallback(
    rule: FallbackRule,
    rules: DecisionRules,
    bars: pl.DataFrame,
    held_weights: Mapping[str, float],
    decision_session: date,
    begins_week: bool | None = None,
) -> Decision:
    """Return the declared fallback's decision at the close of a session.

    Parameters
    ----------
    rule : {"equal_weight", "cash"}
        Rule that trades until a challenger has passed.
    rules : DecisionRules
        Symbols, limits and rebalance rule of the strategy.
    bars : DataFrame
        Table `validated_bars`; rows after the session are ignored.
    held_weights : mapping of str to float
        As in `decide`; those of other symbols are ignored.
    decision_session : date
        Session at whose close is decided.
    begins_week : bool, optional
        As in `decide`.

    Raises
    ------
    DataError
        If no symbol has a bar at the session, or `begins_week` is missing under a weekly rule.
    """
    known = bars.filter(pl.col("session") <= decision_session)
    tradable = tradable_at(known, rules.symbols, decision_session)
    held = np.array([held_weights.get(symbol, 0.0) for symbol in rules.symbols])
    wanted = fallback_weights(rule, tradable), held
    origin = (TABLES["forecasts"].empty(), rule)
    return _decision(decision_session, rules, tradable, wanted, origin, begins_week)


def decide_fallback(
    rule: FallbackRule,
    tradable: NDArray[np.bool_],
    limits: WeightLimits,
    held: Floats | None = None,
) -> Floats:
    """Return a fallback's target weights after limits, float64 (N,).

    `held`, float64 (N,), are the weights held now; needed where turnover is limited.
    """
    return project_weights(fallback_weights(rule, tradable), limits, tradable, held)


def fallback_weights(rule: FallbackRule, tradable: NDArray[np.bool_]) -> Floats:
    """Return a fallback's weights before limits, float64 (N,).

    `equal_weight` is 1/n of each of the n tradable symbols, `cash` is nothing.
    """
    count = int(tradable.sum())
    if rule == "cash" or count == 0:
        return np.zeros(tradable.shape)
    return np.where(tradable, 1.0 / count, 0.0)


def tradable_at(
    bars: pl.DataFrame, symbols: Sequence[str], decision_session: date
) -> NDArray[np.bool_]:
    """Return which symbols have a bar at the session and an earlier one, bool (N,).

    The rule of `simulation.market.Market.tradable`.

    Raises
    ------
    DataError
        If no symbol has a bar at the session.
    """
    upto = bars.filter(pl.col("session") <= decision_session)
    counts = upto.group_by("symbol").agg(pl.len(), pl.col("session").max().alias("last"))
    found = {
        symbol: count > 1
        for symbol, count, last in counts.iter_rows()
        if last == decision_session and symbol in symbols
    }
    if not found:
        msg = (
            f"no symbol has a validated bar at {decision_session}; expected one to decide on:"
            " materialize validated_bars for its month"
        )
        raise DataError(msg)
    return np.array([found.get(symbol, False) for symbol in symbols])


def shown_sessions(sessions: Sequence[date], rules: DecisionRules) -> Sequence[date]:
    """Return those of the sessions up to a decision that policies are shown.

    Raises
    ------
    DataError
        If there are fewer than they are shown.
    """
    if len(sessions) < rules.window_bars:
        msg = (
            f"{len(sessions)} sessions up to {sessions[-1]} have bars and the policies are shown"
            f" {rules.window_bars}; expected as many: materialize validated_bars further back"
        )
        raise DataError(msg)
    return sessions[-rules.window_bars :]


def asked_sessions(
    sessions: Sequence[date], shown: Sequence[date], past: ConformalState | None
) -> list[date]:
    """Return the sessions up to a decision that need a forecast: those shown or not yet made."""
    among = set(shown)
    return [day for day in sessions if day in among or (past is not None and past.session < day)]


def past_forecasts(
    bundle: Bundle,
    symbols: Sequence[str],
    forecast_state: Mapping[str, Any] | None,
    sessions: Sequence[date],
) -> ConformalState | None:
    """Return the state that intervals go on from, unless there is none or it is too old."""
    if forecast_state:
        state = ConformalState.from_json(json.dumps(forecast_state).encode())
    else:
        state = read_start_state(bundle)
        if state is None:
            return None
        state = state.rename(dict(zip(bundle.rules.symbols, symbols, strict=True)))
    missed = sum(state.session < day for day in sessions) - 1
    return state if missed <= _MOST_MISSED_SESSIONS else None


def _forecasts(
    forecaster: "Forecaster | None",
    tables: ForecastTables,
    sessions: Sequence[date],
    state: ConformalState | None,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    if forecaster is None:
        return TABLES["forecasts"].empty(), {}
    found = forecaster.forecast(tables, sessions, state)
    return found.rows, found.state.model_dump(mode="json")


def _held_row(held_weights: Mapping[str, float], rules: DecisionRules) -> list[float]:
    unknown = sorted(
        symbol
        for symbol, weight in held_weights.items()
        if symbol not in rules.symbols and weight != 0.0
    )
    if unknown:
        msg = (
            f"the account holds {', '.join(unknown)}, which the bundle was not trained on; expected"
            f" only {', '.join(rules.symbols)}: close these positions first"
        )
        raise DataError(msg)
    return [held_weights.get(symbol, 0.0) for symbol in rules.symbols]


def _decision(
    session: date,
    rules: DecisionRules,
    tradable: NDArray[np.bool_],
    raw_and_held: tuple[Floats, Floats],
    origin: tuple[pl.DataFrame, str],
    begins_week: bool | None,
) -> Decision:
    raw, held = raw_and_held
    forecasts, decided_by = origin
    if begins_week is None and isinstance(rules.rebalance, WeeklySpec):
        msg = (
            f"begins_week was missing at the close of {session} under rebalance weekly; expected"
            " whether the session that fills the decision is the first of its week"
        )
        raise DataError(msg)
    limits = rules.limits
    within = project_weights(raw, limits, tradable, held)
    weights = weights_to_trade(
        rules.rebalance, within, held, np.array(bool(begins_week)), limits, tradable
    )
    names = binding_limits(raw, limits, tradable, held)
    return Decision(
        session=session,
        symbols=rules.symbols,
        tradable=tradable,
        raw_weights=raw,
        weights=weights,
        binding_limits=name_held_back(names, within, weights),
        forecasts=forecasts,
        decided_by=decided_by,
    )
