"""Why each trade was made: the inputs that changed the wish since the decision before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.backtest.explanation.watched_decisions import WatchedDecisions
from trading_assets.policy.action_attribution import ActionAttributions
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.input_names import ObservedInput, name_inputs
from trading_assets.risk.projection import binding_limits, project_weights
from trading_assets.risk.rebalance_rule import name_held_back
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market, row_of

CONFIDENCE = ObservedInput("forecast", "confidence")
_MOST_INPUTS = 3
# Less of a weight than a dollar in a million is no reason.
_LEAST_CHANGE = 1e-6


@dataclass(frozen=True)
class _Wishes:
    """Inputs of a wish, and what each changed, of weight and in itself, since the decision before.

    Attributes
    ----------
    inputs : list of ObservedInput
        J inputs, the confidence of forecasts last.
    changes : float64 (T, N, J)
        Weight that each added since.
    moves : float64 (T, N, J)
        Change of its newest value.
    """

    inputs: list[ObservedInput]
    changes: Floats
    moves: Floats


def trade_reasons(
    portfolio: str,
    watched: WatchedDecisions,
    found: ActionAttributions | None,
    trades: pl.DataFrame,
    market: Market,
    rules: DecisionRules,
    baseline: Floats,
) -> pl.DataFrame:
    """Return the table `reasons` of a portfolio's trades.

    Parameters
    ----------
    portfolio : str
        Its name.
    watched : WatchedDecisions
        Its decisions.
    found : ActionAttributions, optional
        What moved them; without, reasons are limits and prices alone.
    trades : DataFrame
        Rows of the table `trades`; those without a share are left out.
    market : Market
        The market that was traded.
    rules : DecisionRules
        What was observed, and the limits.
    baseline : float64 (n_inputs,)
        The observation that the first decision is compared with.
    """
    wishes = None if found is None else _wishes(watched, found, rules, baseline)
    wish_change = np.diff(watched.wished, axis=0, prepend=np.zeros_like(watched.wished[:1]))
    drift = np.concatenate([np.zeros_like(watched.weights[:1]), watched.weights[:-1]])
    drift -= watched.held
    limits = [_binding(watched, place, market, rules) for place in range(len(watched.rows))]
    columns = {symbol: column for column, symbol in enumerate(market.symbols)}
    rows: list[tuple[object, ...]] = []
    own = trades.filter((pl.col("portfolio") == portfolio) & (pl.col("quantity") != 0.0))
    fields = ("session", "symbol", "quantity", "price_usd")
    for session, symbol, quantity, price in own.select(fields).sort(fields[:2]).iter_rows():
        at = row_of(market, session) - rules.latency_bars - int(watched.rows[0])
        column = columns[symbol]
        inputs, changes, phrases = _largest(wishes, at, column, symbol)
        bound = limits[at][column]
        moved = float(drift[at, column])
        is_drift = abs(moved) > abs(
            float(watched.weights[at, column] - watched.held[at, column]) - moved
        )
        rows.append(
            (
                portfolio,
                session,
                symbol,
                _day(watched, at),
                quantity * price,
                float(wish_change[at, column]),
                moved,
                inputs,
                changes,
                bound,
                _sentence(quantity, phrases, bound, is_first=at == 0, is_drift=is_drift),
            )
        )
    schema = {column.name: column.dtype for column in TABLES["reasons"].columns}
    return conform("reasons", pl.DataFrame(rows, schema=schema, orient="row"))


def input_title(input_: ObservedInput, symbol: str) -> str:
    """Return what an input is called beside a trade of a symbol: of others by their tickers."""
    own = input_.of_symbol in ("", symbol)
    return input_.title if own else f"{input_.title} of {input_.of_symbol}"


def _binding(
    watched: WatchedDecisions, place: int, market: Market, rules: DecisionRules
) -> tuple[str, ...]:
    """Return for each symbol what changed its wish at a decision, as paper sessions name it."""
    wished, held = watched.wished[place], watched.held[place]
    tradable = market.tradable[watched.rows[place]]
    within = project_weights(wished, rules.limits, tradable, held)
    names = binding_limits(wished, rules.limits, tradable, held)
    return name_held_back(names, within, watched.weights[place])


def _wishes(
    watched: WatchedDecisions, found: ActionAttributions, rules: DecisionRules, baseline: Floats
) -> _Wishes:
    names = name_inputs(rules)
    sized = watched.wished - found.raw_weights
    added = np.concatenate([found.contributions, sized[:, :, None]], axis=2)
    seen = np.concatenate([baseline[None], watched.observations.astype(np.float64)])
    moves = np.diff(seen[:, names.newest], axis=0)
    n_symbols = watched.wished.shape[1]
    factor = np.divide(
        watched.wished,
        found.raw_weights,
        out=np.ones_like(sized),
        where=found.raw_weights != 0.0,
    )
    surer = np.diff(factor, axis=0, prepend=np.ones((1, n_symbols)))
    spread = np.broadcast_to(moves[:, None], (len(moves), n_symbols, moves.shape[1]))
    return _Wishes(
        inputs=[*found.inputs, CONFIDENCE],
        changes=np.diff(added, axis=0, prepend=np.zeros_like(added[:1])),
        moves=np.concatenate([spread, surer[:, :, None]], axis=2),
    )


def _largest(
    wishes: _Wishes | None, at: int, column: int, symbol: str
) -> tuple[list[str], list[float], list[str]]:
    """Return names, changes of weight and phrases of the inputs that changed a wish most."""
    if wishes is None:
        return [], [], []
    changes = wishes.changes[at, column]
    order = [int(place) for place in np.argsort(-np.abs(changes), kind="stable")[:_MOST_INPUTS]]
    order = [place for place in order if abs(changes[place]) > _LEAST_CHANGE]
    names = [input_title(wishes.inputs[place], symbol) for place in order]
    phrases = [
        f"{name}{_direction(float(wishes.moves[at, column, place]))}"
        for name, place in zip(names, order, strict=True)
    ]
    return names, [float(changes[place]) for place in order], phrases


def _direction(move: float) -> str:
    if move == 0.0:
        return ""
    return " up" if move > 0.0 else " down"


def _sentence(
    quantity: float, phrases: Sequence[str], bound: str, *, is_first: bool, is_drift: bool
) -> str:
    causes = ", ".join(phrases) or "the wish is as before"
    if is_first:
        causes = f"first decision, from cash; against a usual day {causes}"
    elif is_drift:
        causes = f"prices moved the position off its target; {causes}"
    names = bound.replace("+", ", ")
    limit = f"; limit{'s' if '+' in bound else ''} {names} bound" if bound else ""
    return f"{'bought' if quantity > 0.0 else 'sold'}: {causes}{limit}"


def _day(watched: WatchedDecisions, at: int) -> date:
    return watched.sessions[at].astype("datetime64[D]").item()
