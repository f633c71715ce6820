"""What befalls a synthetic symbol: listing, delisting, splits and dividends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from trading_assets.bars.synthetic.draws import DayDraw, Floats, LifeDraw
from trading_assets.delistings import delisting_cause
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import SyntheticSource

_DAYS_A_YEAR = 365.25
_BANKRUPTCY, _MERGER = "bankruptcy", "merger"
_BANKRUPTCY_SHARE = 0.4
_ANNUAL_DIVIDEND_YIELD = 0.02
# Companies split to bring the price of a share back to a usual level.
_REVERSE_SPLIT_BELOW_USD = 10.0
_REVERSE_RATIO = 0.1
_FORWARD_RATIOS = (2.0, 3.0, 1.5, 4.0)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a symbol trades, both ends included, and how it ended; `last` None is open.

    `final_return` is the return after the last bar, a fraction.
    """

    first: date
    last: date | None = None
    reason: str | None = None
    final_return: float | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """A split (ratio of new to old shares) or dividend (USD for one old share) on an ex date."""

    ex_date: date
    kind: str
    split_ratio: float
    cash_usd: float


@dataclass(frozen=True, slots=True)
class PriceScale:
    """What actions make of levels: ``price = scale * level - offset_usd``, a value a session."""

    scale: Floats
    offset_usd: Floats
    actions: list[Action]


def draw_lifetime(
    symbol: str, spec: MarketDataSpec, source: SyntheticSource, life: Floats
) -> Lifetime:
    """Return when `symbol` trades.

    A declared member that left by a delisting trades from the start to its last session. Otherwise
    a late listing falls in the first half of `listing_days` after the data set's start, and a
    delisting in the second half: neither depends on how far the data set reaches.
    """
    half = source.listing_days // 2
    first = spec.start
    if life[LifeDraw.IS_LATE] < source.late_listing_share:
        first += timedelta(days=1 + int(life[LifeDraw.LISTED] * (half - 1)))
    for member in spec.members:
        left = (member.delisting_reason, member.delisting_return) != (None, None)
        still_listed = delisting_cause(member.delisting_reason or "") == "still_listed"
        if member.symbol == symbol and left and not still_listed:
            return Lifetime(
                spec.start, member.last_session, member.delisting_reason, member.delisting_return
            )
    if life[LifeDraw.IS_DELISTED] >= source.delisting_share:
        return Lifetime(first)
    days = half + 1 + int(life[LifeDraw.DELISTED] * (source.listing_days - half - 1))
    extent = float(life[LifeDraw.FINAL_RETURN])
    last = spec.start + timedelta(days=days)
    if life[LifeDraw.REASON] < _BANKRUPTCY_SHARE:
        return Lifetime(first, last, _BANKRUPTCY, round(-0.3 - 0.7 * extent, 4))
    return Lifetime(first, last, _MERGER, round(0.05 * extent, 4))


def apply_actions(
    sessions: Sequence[date],
    closing_levels: Floats,
    first_price_usd: float,
    planned: Sequence[tuple[int, bool, bool]],
    days: Floats,
    source: SyntheticSource,
) -> PriceScale:
    """Return how prices follow from total-return levels.

    On an ex date with cash D for one old share and ratio R, a price is ``(k L - D) / R``, L the
    level and k the scale before; so ``P_t R + D`` over the price before is the ratio of levels, and
    total returns are what they are without the action.

    Parameters
    ----------
    sessions : sequence of date
        All sessions from the data set's start.
    closing_levels : array
        Level at each close.
    first_price_usd : float
        Price of level 1 before any action.
    planned : sequence of (int, bool, bool)
        Place of a session, whether it has a split, whether it has a dividend; as `plan_actions`
        returns it.
    days : array, shape (n_sessions, len(DayDraw))
        Draws, of which `SPLIT_RATIO` chooses among the usual ratios.
    source : SyntheticSource
        Dividends a year, which share a yield of 2 % a year.
    """
    scale = np.full(len(sessions), first_price_usd)
    offset = np.zeros(len(sessions))
    actions: list[Action] = []
    k = first_price_usd
    for place, has_split, has_dividend in planned:
        price_before = k * float(closing_levels[place - 1])
        ratio, cash = 1.0, 0.0
        if has_dividend:
            cash = price_before * _ANNUAL_DIVIDEND_YIELD / max(source.dividends_a_year, 1.0)
            cash = max(round(cash, 4), 1e-4)
            actions.append(Action(sessions[place], "dividend", 1.0, cash))
        if has_split:
            choice = int(days[place, DayDraw.SPLIT_RATIO] * len(_FORWARD_RATIOS))
            is_cheap = price_before < _REVERSE_SPLIT_BELOW_USD
            ratio = _REVERSE_RATIO if is_cheap else _FORWARD_RATIOS[choice]
            actions.append(Action(sessions[place], "split", ratio, 0.0))
        scale[place], offset[place] = k / ratio, cash / ratio
        k = (k - cash / float(closing_levels[place])) / ratio
        scale[place + 1 :] = k
    return PriceScale(scale, offset, actions)


def plan_actions(
    sessions: Sequence[date],
    lifetime: Lifetime,
    life: Floats,
    days: Floats,
    source: SyntheticSource,
    sessions_a_year: float,
) -> list[tuple[int, bool, bool]]:
    """Return place, has split, has dividend of the sessions with an action, oldest first.

    Splits fall on any session but the first, dividends on the first session after equal spells of
    calendar days.
    """
    ordinals = np.array([day.toordinal() for day in sessions], dtype=np.int64)
    has_split = days[:, DayDraw.SPLIT] < source.splits_a_year / sessions_a_year
    has_dividend = np.zeros(len(sessions), dtype=bool)
    if source.dividends_a_year > 0:
        spell = _DAYS_A_YEAR / source.dividends_a_year
        spells = np.floor(ordinals / spell + life[LifeDraw.DIVIDEND_PHASE])
        has_dividend[1:] = np.diff(spells) > 0
    last = lifetime.last or date.max
    is_alive = (ordinals > lifetime.first.toordinal()) & (ordinals <= last.toordinal())
    # The symbol's first session has no close before it.
    is_alive[: 1 + int(np.searchsorted(ordinals, lifetime.first.toordinal()))] = False
    places = np.flatnonzero((has_split | has_dividend) & is_alive)
    return [(int(place), bool(has_split[place]), bool(has_dividend[place])) for place in places]
