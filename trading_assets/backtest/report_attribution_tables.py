"""The report's tables of where a portfolio's profit came from."""

from collections.abc import Mapping
from html import escape

from trading_assets.backtest.attribution.by_member import REMAINDER, sum_by_agent
from trading_assets.backtest.attribution.by_sector import ActiveReturn
from trading_assets.backtest.attribution.factor_regression import ALPHA, FactorFit
from trading_assets.backtest.attribution.profit_parts import ProfitParts
from trading_assets.backtest.cells import DASH, number, percent
from trading_assets.backtest.page_parts import Table

_MOST_PARTS = 20


def profit_table(parts: ProfitParts, caption: str) -> Table:
    """Return gain, cost and net of each part, the largest net first, and their sum."""
    # What neither gained nor cost anything is no part.
    some = [at for at, g in enumerate(parts.gain_usd) if g != 0.0 or parts.cost_usd[at] != 0.0]
    order = sorted(some, key=lambda place: -parts.net_usd[place])
    half = _MOST_PARTS // 2
    groups = [[place] for place in order]
    if len(order) > _MOST_PARTS:
        groups = [*groups[:half], order[half:-half], *groups[-half:]]
    rows = [
        (
            parts.names[own[0]] if len(own) == 1 else f"{len(own)} between",
            sum(parts.gain_usd[place] for place in own),
            sum(parts.cost_usd[place] for place in own),
            sum(parts.net_usd[place] for place in own),
        )
        for own in groups
    ]
    return Table(
        caption=caption,
        header=["Part", "Gains", "Costs", "Net", "Share of net"],
        rows=[
            *(_profit_row(*row, parts.total_usd) for row in rows),
            _profit_row(
                "sum", sum(parts.gain_usd), sum(parts.cost_usd), parts.total_usd, parts.total_usd
            ),
        ],
    )


def regimes_table(name: str, parts: ProfitParts, sessions: Mapping[str, int]) -> Table:
    """Return what was earned in each regime, and in how many sessions."""
    rows = zip(parts.names, parts.gain_usd, parts.cost_usd, parts.net_usd, strict=True)
    return Table(
        caption=f"By regime of the market's {name}, told the close before, USD",
        header=["Regime", "Sessions", "Gains", "Costs", "Net", "Net a session"],
        rows=[
            [
                escape(regime),
                number(sessions[regime], 0),
                number(gain, 0),
                number(cost, 0),
                number(net, 0),
                number(net / sessions[regime], 0),
            ]
            for regime, gain, cost, net in rows
        ],
    )


def members_table(gains: Mapping[str, float]) -> Table:
    """Return what each member's wishes gained, and agents of several members as sums."""
    total = sum(gains.values())
    agents = sum_by_agent(list(gains), list(gains.values()))
    several = len(agents) > 2
    rows = [(name, usd) for name, usd in gains.items() if name != REMAINDER]
    if several:
        rows = [*((n, usd) for n, usd in agents.items() if n != REMAINDER), *rows]
    rows += [(REMAINDER, gains.get(REMAINDER, 0.0)), ("sum of gains", total)]
    return Table(
        caption="By member of the ensemble, gains before costs, USD",
        header=["Member", "Gains", "Share"],
        rows=[
            [escape(name), number(usd, 0), percent(usd / total, 0) if total else DASH]
            for name, usd in rows
        ],
    )


def factors_table(fit: FactorFit) -> Table:
    """Return alpha, exposures and what each adds to the sum of net returns."""
    by_name = dict(zip(fit.names, zip(fit.coefficients, fit.t_values, strict=True), strict=True))
    rows: list[list[str]] = []
    for name, part in fit.parts.items():
        coefficient, t = by_name.get(name, (None, None))
        exposure = DASH
        if coefficient is not None:
            is_alpha = name == ALPHA
            exposure = f"{number(1e4 * coefficient)} bps" if is_alpha else number(coefficient)
        rows.append(
            [
                escape(name.replace("_", " ")),
                exposure,
                DASH if t is None else number(t),
                percent(part, 2),
            ]
        )
    left_out = f"; without {', '.join(fit.left_out)}, which did not vary" if fit.left_out else ""
    return Table(
        caption=f"By factor, sums of net returns over {fit.sessions} sessions{left_out}",
        header=["Factor", "Exposure, alpha a session", "t, Newey-West", "Return"],
        rows=[*rows, ["sum", DASH, DASH, percent(fit.total, 2)]],
    )


def sectors_table(found: ActiveReturn) -> Table:
    """Return allocation and selection of each sector, costs, and the active return."""
    rows = [
        [escape(sector), percent(a, 2), percent(s, 2), percent(a + s, 2)]
        for sector, a, s in zip(found.sectors, found.allocation, found.selection, strict=True)
    ]
    return Table(
        caption=(
            f"By sector: {percent(found.portfolio, 2)} less {percent(found.benchmark, 2)} of equal"
            " weights, compounded"
        ),
        header=["Sector", "Allocation", "Selection", "Both"],
        rows=[
            *rows,
            ["costs", DASH, DASH, percent(found.costs, 2)],
            [
                "active return",
                percent(sum(found.allocation), 2),
                percent(sum(found.selection), 2),
                percent(found.active, 2),
            ],
        ],
    )


def _profit_row(name: str, gain: float, cost: float, net: float, total: float) -> list[str]:
    share = percent(net / total, 0) if total else DASH
    return [escape(name), number(gain, 0), number(cost, 0), number(net, 0), share]
