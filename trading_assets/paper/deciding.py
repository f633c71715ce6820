"""From the account and the last known closes to a decision and an order plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

from trading_assets.errors import DataError
from trading_assets.paper.account import Account
from trading_assets.paper.inputs import SessionInputs
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.marks import last_known_closes
from trading_assets.paper.order_plan import OrderPlan, PlanRequest, plan_orders
from trading_assets.paper.orders import ZERO
from trading_assets.paper.pretrade_facts import facts_of_account
from trading_assets.paper.target_facts import target_facts
from trading_assets.policy.decision import Decision
from trading_assets.risk.drawdown_ladder import Rung, limit_to_rung
from trading_assets.risk.limits import WeightLimits, declared_limits
from trading_assets.risk.order_limits import OrderLimits
from trading_assets.risk.projection import project_weights
from trading_assets.simulation.core import Books, Floats, decide_quantities, held_weights

_LIMIT_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Target:
    """What was decided for one symbol, and the last close known then.

    `facts` says what it was decided on, by the names of `TARGET_FACTS`; what is not known is
    absent.
    """

    symbol: str
    raw_weight: float
    weight: float
    binding_limits: str
    reference_price_usd: float
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class DecidedSession:
    """Targets of every symbol, the orders they mean, who decided, and what was remembered."""

    targets: tuple[Target, ...]
    plan: OrderPlan
    decided_by: str
    remembered: Mapping[str, Any]


def known_row(inputs: SessionInputs) -> int:
    """Return the row of the market at whose close the session is decided.

    Raises
    ------
    DataError
        If there is none.
    """
    known = int(np.searchsorted(inputs.market.sessions, np.datetime64(inputs.session, "D"))) - 1
    if known < 0:
        msg = f"the market has no bar before {inputs.session}; expected earlier ones to decide on"
        raise DataError(msg)
    return known


def decide_session(
    inputs: SessionInputs,
    account: Account,
    rung: Rung = "full_size",
    *,
    is_reducing: bool = False,
) -> DecidedSession:
    """Decide on what is known at the close before the session, and plan its orders.

    Parameters
    ----------
    inputs : SessionInputs
        Market, declaration and decision function; the session's own bar is not looked at.
    account : Account
        Cash, holdings and orders before the session's own.
    rung : Rung
        What the drawdown ladder allows.
    is_reducing : bool
        Whether only orders that reduce positions may be sent.

    Raises
    ------
    DataError
        If there is no earlier bar, or the decision used a later one or breaks a limit.
    """
    market, strategy = inputs.market, inputs.strategy
    opening = account.state(None if account.opened is None else account.opened.as_of)
    known = known_row(inputs)
    closes = last_known_closes(market, known)
    books = book_of_account(opening, market.symbols, closes)
    sizing, notional = strategy.policy.sizing, strategy.paper.initial_cash_usd
    held = held_weights(books, sizing, notional)[0]
    decision_session: date = market.sessions[known].item()
    held_by_symbol = dict(zip(market.symbols, held.tolist(), strict=True))
    previous = inputs.previous
    before = None if previous is None else previous.summary
    decision = inputs.decide(held_by_symbol, decision_session, before)
    _check_decision(inputs, decision, decision_session)
    _check_sums(inputs, decision, held_by_symbol)
    facts_by_symbol = target_facts(decision, market, known, inputs.calendar)
    targets = _on_rung(_targets(decision, market.symbols, closes, facts_by_symbol), held, rung)
    weights = np.array([[target.weight for target in targets]])
    quantity = decide_quantities(books, weights, market.close[known], sizing, notional)[0]
    request = PlanRequest(
        strategy=inputs.name,
        session=inputs.session,
        held=opening.quantity,
        target=dict(zip(market.symbols, quantity.tolist(), strict=True)),
        reference_price_usd={target.symbol: target.reference_price_usd for target in targets},
        data_age_sessions=_data_ages(inputs, market.close[: known + 1]),
        lot_shares=strategy.costs.lot_shares,
        is_reducing=is_reducing,
    )
    limits = OrderLimits.from_declared(strategy.risk, strategy.policy.position)
    facts = facts_of_account(account, opening, strategy, market, closes, known)
    plan = plan_orders(request, limits, facts)
    return DecidedSession(targets, plan, decision.decided_by, decision.remembered)


def book_of_account(opening: AccountState, symbols: tuple[str, ...], closes: Floats) -> Books:
    """Return the ledger as one book of the market core, without targets.

    Parameters
    ----------
    opening : AccountState
        The ledger after a close.
    symbols : tuple of str
        The book's columns.
    closes : float64 (N,)
        Last closes known then, USD; nan where a symbol has had none.

    Raises
    ------
    DataError
        If the ledger holds a symbol that is no column.
    """
    strangers = sorted({*opening.quantity} - {*symbols})
    if strangers:
        msg = f"the account holds {', '.join(strangers)}; expected only symbols of the data set"
        raise DataError(msg)
    quantity = [float(opening.quantity.get(symbol, ZERO)) for symbol in symbols]
    return Books(
        cash=np.array([float(opening.cash_usd)]),
        quantity=np.array([quantity]),
        price=np.where(np.isfinite(closes), closes, 0.0)[None, :],
        target_weight=np.zeros((1, len(symbols))),
    )


def _targets(
    decision: Decision,
    symbols: tuple[str, ...],
    closes: Floats,
    facts: Mapping[str, Mapping[str, str]],
) -> tuple[Target, ...]:
    place = {symbol: index for index, symbol in enumerate(decision.symbols)}
    targets: list[Target] = []
    for symbol, close in zip(symbols, closes.tolist(), strict=True):
        at = place.get(symbol)
        if at is None:
            targets.append(Target(symbol, 0.0, 0.0, "", close, facts[symbol]))
            continue
        raw, weight = float(decision.raw_weights[at]), float(decision.weights[at])
        limits = decision.binding_limits[at]
        targets.append(Target(symbol, raw, weight, limits, close, facts[symbol]))
    return tuple(targets)


def _on_rung(targets: tuple[Target, ...], held: Floats, rung: Rung) -> tuple[Target, ...]:
    """Return the targets that the drawdown ladder allows."""
    if rung == "full_size":
        return targets
    wanted = np.array([target.weight for target in targets])
    limited = limit_to_rung(wanted, held, rung)
    return tuple(
        replace(
            target,
            weight=float(weight),
            binding_limits="+".join(filter(None, (target.binding_limits, "drawdown_ladder"))),
        )
        if weight != target.weight
        else target
        for target, weight in zip(targets, limited.tolist(), strict=True)
    )


def _check_decision(inputs: SessionInputs, decision: Decision, decision_session: date) -> None:
    """Refuse a decision on later data, on strange symbols, not finite, or outside the limits."""
    risk, who = inputs.strategy.risk, decision.decided_by
    if decision.session != decision_session:
        msg = f"{who} decided at the close of {decision.session}; expected {decision_session}"
        raise DataError(msg)
    strangers = sorted({*decision.symbols} - {*inputs.market.symbols})
    if strangers:
        msg = f"{who} weighs {', '.join(strangers)}; expected symbols of the market"
        raise DataError(msg)
    _check_finite(decision)
    sizes = np.abs(decision.weights)
    if inputs.strategy.policy.position == "long_only" and (
        (decision.weights < -_LIMIT_TOLERANCE).any()
    ):
        msg = f"{who} decided a negative weight; expected none in a long-only book"
        raise DataError(msg)
    is_too_large = (sizes > risk.max_weight + _LIMIT_TOLERANCE).any()
    if is_too_large or sizes.sum() > risk.max_gross + _LIMIT_TOLERANCE:
        msg = (
            f"{who} decided weights up to {sizes.max():.4f}, together {sizes.sum():.4f};"
            f" expected at most max_weight {risk.max_weight} and max_gross {risk.max_gross}"
        )
        raise DataError(msg)


def _check_finite(decision: Decision) -> None:
    """Refuse weights that no comparison with a limit would refuse."""
    for name, weights in (("weight", decision.weights), ("raw weight", decision.raw_weights)):
        strange = np.flatnonzero(~np.isfinite(weights)).tolist()
        if strange:
            msg = (
                f"{decision.decided_by} decided a {name} of {weights[strange[0]]} for"
                f" {decision.symbols[strange[0]]}; expected finite numbers: check the bars it saw"
                " and its model, or let another champion decide"
            )
            raise DataError(msg)


def _check_sums(
    inputs: SessionInputs, decision: Decision, held_by_symbol: Mapping[str, float]
) -> None:
    """Refuse a decision outside the limits on net weights, sectors and turnover."""
    limits = declared_limits(inputs.strategy.risk, inputs.strategy.policy, decision.symbols)
    if limits.is_closed_form:
        return
    held = np.array([held_by_symbol[symbol] for symbol in decision.symbols])
    nearest = project_weights(decision.weights, limits, decision.tradable, held)
    if (np.abs(nearest - decision.weights) > _LIMIT_TOLERANCE).any():
        turnover = np.abs(decision.weights - held)[decision.tradable].sum()
        msg = (
            f"{decision.decided_by} decided weights of {decision.weights.sum():.4f} net and"
            f" {turnover:.4f} turnover, which break {_sums(limits)}; expected the nearest weights"
            " within the declared limits: train again if they were declared anew"
        )
        raise DataError(msg)


def _sums(limits: WeightLimits) -> str:
    declared = {
        "min_net": limits.min_net,
        "max_net": limits.max_net,
        "max_sector_gross": limits.max_sector_gross,
        "max_turnover": limits.max_turnover,
    }
    return " or ".join(f"{name} {value:g}" for name, value in declared.items() if value is not None)


def _data_ages(inputs: SessionInputs, closes: Floats) -> dict[str, int]:
    """Return the sessions from each symbol's newest bar to the session; none without a bar."""
    ages: dict[str, int] = {}
    for column, symbol in enumerate(inputs.market.symbols):
        rows = np.flatnonzero(np.isfinite(closes[:, column]))
        if len(rows):
            newest: date = inputs.market.sessions[int(rows[-1])].item()
            ages[symbol] = len(inputs.calendar.sessions(newest, inputs.session)) - 1
    return ages
