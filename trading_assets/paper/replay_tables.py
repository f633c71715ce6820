"""The tables of replayed sessions, how they compound, and where they are too far apart."""

import math
from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from trading_assets.errors import DataError
from trading_assets.paper.orders import ZERO
from trading_assets.paper.replayed import BPS, SessionReplay, SymbolReplay
from trading_assets.schema import TABLES, conform

# Roundings to a micro-dollar, of which each symbol and each equity has a few.
SUM_TOLERANCE_USD = Decimal("0.0001")
SHOWN_SYMBOLS = 3


def session_table(replays: Sequence[SessionReplay], before_bps: float) -> pl.DataFrame:
    """Return the table `session_replay`, compounded from what was before.

    Parameters
    ----------
    replays : sequence of SessionReplay
        In the order of sessions.
    before_bps : float
        `cumulative_bps` of the last session that was replayed before them; 0 where none was.

    Raises
    ------
    DataError
        If `before_bps` is no divergence, or sessions do not ascend.
    """
    if not math.isfinite(before_bps) or before_bps <= -float(BPS):
        msg = (
            f"cumulative divergence was {before_bps} bps; expected a finite number above -10000:"
            " materialize the earlier session_replay again"
        )
        raise DataError(msg)
    days = [replay.session for replay in replays]
    if days != sorted({*days}):
        msg = f"replays of {', '.join(map(str, days))} were given; expected ascending sessions"
        raise DataError(msg)
    rows: list[tuple[object, ...]] = []
    growth = 1.0 + before_bps / float(BPS)
    for replay in replays:
        growth *= float(replay.recorded_equity_usd / replay.replayed_equity_usd)
        rows.append(
            (
                replay.session,
                replay.receiver,
                replay.recorded_equity_usd,
                replay.replayed_equity_usd,
                sum((s.recorded.cost_usd for s in replay.symbols), ZERO),
                sum((s.replayed.cost_usd for s in replay.symbols), ZERO),
                replay.other_usd,
                replay.divergence_bps,
                (growth - 1.0) * float(BPS),
            )
        )
    return _table("session_replay", rows)


def symbol_table(replays: Sequence[SessionReplay]) -> pl.DataFrame:
    """Return the table `replay_symbols`."""
    rows = [(r.session, *_symbol_row(symbol)) for r in replays for symbol in r.symbols]
    return _table("replay_symbols", rows)


def unexplained(replays: Sequence[SessionReplay]) -> list[str]:
    """Say which session's symbols and other cash do not add up to its difference of equity."""
    problems: list[str] = []
    for replay in replays:
        apart = replay.recorded_equity_usd - replay.replayed_equity_usd
        parts = sum((s.difference_usd for s in replay.symbols), replay.other_usd)
        if abs(apart - parts) > SUM_TOLERANCE_USD:
            problems.append(
                f"{replay.session}: equity differs by {apart:,.6f} USD, and its symbols and other"
                f" cash by {parts:,.6f} USD; the stored positions or cash are not those of the"
                " stored equity"
            )
    return problems


def divergences(replays: Sequence[SessionReplay], limit_bps: float) -> list[str]:
    """Say which session diverged by more than `limit_bps`, and what moved it most."""
    return [
        f"{replay.session} ended {replay.divergence_bps:+.2f} bps from its replay, at"
        f" {replay.recorded_equity_usd:,.2f} USD and not {replay.replayed_equity_usd:,.2f}"
        f" (limit {limit_bps:g}): {_movers(replay)}"
        for replay in replays
        if abs(replay.divergence_bps) > limit_bps
    ]


def _movers(replay: SessionReplay) -> str:
    apart = sorted(replay.symbols, key=lambda s: abs(s.difference_usd), reverse=True)
    said = [_mover(symbol) for symbol in apart[:SHOWN_SYMBOLS] if symbol.differs]
    return "; ".join([*said, f"other cash {replay.other_usd:+,.2f} USD"])


def _mover(symbol: SymbolReplay) -> str:
    one, other = symbol.recorded, symbol.replayed
    pairs = (
        ("shares traded", f"{one.trade.normalize():f}", f"{other.trade.normalize():f}"),
        ("price", _usd(one.price_usd), _usd(other.price_usd)),
        ("costs", f"{one.cost_usd:,.2f} USD", f"{other.cost_usd:,.2f} USD"),
        ("worth at the close", f"{one.worth_usd:,.2f} USD", f"{other.worth_usd:,.2f} USD"),
    )
    apart = ", ".join(f"{what} {own} and not {its}" for what, own, its in pairs if own != its)
    reason = f" ({symbol.reason})" if symbol.reason else ""
    return f"{symbol.symbol} {symbol.difference_usd:+,.2f} USD, {apart}{reason}"


def _usd(price: Decimal | None) -> str:
    return "none" if price is None else f"{price.normalize():f} USD"


def _symbol_row(symbol: SymbolReplay) -> tuple[object, ...]:
    one, other = symbol.recorded, symbol.replayed
    return (
        symbol.symbol,
        one.quantity,
        other.quantity,
        one.worth_usd,
        other.worth_usd,
        one.trade,
        other.trade,
        one.price_usd,
        other.price_usd,
        one.cost_usd,
        other.cost_usd,
        symbol.difference_usd,
        symbol.differs,
        symbol.reason,
    )


def _table(name: str, rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    schema = TABLES[name].empty().schema
    return conform(name, pl.DataFrame(rows, schema=schema, orient="row"))
