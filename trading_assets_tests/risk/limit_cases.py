"""Random limits, weights and books, and what is known of them without the projection."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, linprog, minimize

from trading_assets.risk.limits import WeightLimits
from trading_assets.risk.projection import project_weights

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One row to be projected."""

    wanted: Floats
    tradable: NDArray[np.bool_]
    held: Floats
    limits: WeightLimits

    def box_and_gross(self) -> "Case":
        only = replace(
            self.limits, min_net=None, max_net=None, max_sector_gross=None, max_turnover=None
        )
        return replace(self, limits=only)

    def without_turnover(self) -> "Case":
        return replace(self, limits=replace(self.limits, max_turnover=None))

    def wanting(self, wanted: Floats) -> "Case":
        return replace(self, wanted=wanted)

    def holding(self, held: Floats) -> "Case":
        return replace(self, held=held)

    @property
    def net_range(self) -> tuple[float, float]:
        """Net limits, or what tradable symbols can reach of them."""
        limits, n = self.limits, int(self.tradable.sum())
        room = n * limits.max_weight
        if limits.max_sector_gross is not None:
            of_sector = np.bincount(np.array(limits.sectors), self.tradable * limits.max_weight)
            room = float(np.minimum(of_sector, limits.max_sector_gross).sum())
        room = min(room, limits.max_gross)
        least = -np.inf if limits.min_net is None else min(limits.min_net, room)
        lowest = 0.0 if limits.is_long_only else -room
        most = np.inf if limits.max_net is None else max(limits.max_net, lowest)
        return least, most

    def turnover(self, weights: Floats) -> float:
        return float(np.abs(weights - self.held)[self.tradable].sum())

    def breach(self, weights: Floats) -> float:
        """How far weights are beyond the limits but that of turnover."""
        limits = self.limits
        least, most = self.net_range
        low = 0.0 if limits.is_long_only else -limits.max_weight
        beyond = [
            weights.max() - limits.max_weight,
            low - weights.min(),
            np.abs(weights[~self.tradable]).sum(),
            np.abs(weights).sum() - limits.max_gross,
            weights.sum() - most,
            least - weights.sum(),
        ]
        if limits.max_sector_gross is not None:
            gross = np.bincount(np.array(limits.sectors), np.abs(weights))
            beyond.append(gross.max() - limits.max_sector_gross)
        return float(max(beyond))


def project(case: Case) -> Floats:
    return project_weights(case.wanted, case.limits, case.tradable, case.held)


LIMITED = Case(
    wanted=np.array([0.5, 0.4, -0.3, 0.2]),
    tradable=np.ones(4, dtype=bool),
    held=np.zeros(4),
    limits=WeightLimits(0.4, 0.9, False, -0.1, 0.2, 0.5, 0.3, (0, 0, 1, 1)),
)


def draw_case(rng: np.random.Generator, n_symbols: int) -> Case:
    """Return a row with limits of any kind, weights far and near, some of them equal."""
    is_long_only = bool(rng.integers(2))
    max_weight, max_gross = rng.uniform(0.05, 1.0), rng.uniform(0.1, 2.5)
    room = min(max_gross, n_symbols * max_weight)
    lowest = 0.0 if is_long_only else -room
    nets = np.sort(rng.uniform(lowest, room, 2))
    if rng.random() < 0.2:
        nets[:] = nets[1]
    kinds = rng.random(4) < 0.55
    sectors = tuple(rng.integers(0, 1 + n_symbols // 2, n_symbols).tolist())
    limits = WeightLimits(
        max_weight=float(max_weight),
        max_gross=float(max_gross),
        is_long_only=is_long_only,
        min_net=float(nets[0]) if kinds[0] else None,
        max_net=float(max(nets[1], 1e-3 if is_long_only else -room)) if kinds[1] else None,
        max_sector_gross=float(rng.uniform(0.1, 1.0) * max_gross) if kinds[2] else None,
        max_turnover=float(rng.uniform(0.01, 1.0)) if kinds[3] else None,
        sectors=sectors if kinds[2] else (),
    )
    wanted = rng.normal(0.0, rng.choice([0.1, 0.4, 1.5]), n_symbols)
    held = rng.normal(0.0, rng.choice([0.0, 0.05, 0.3]), n_symbols)
    if rng.random() < 0.3:
        wanted, held = np.round(wanted, 1), np.round(held, 1)
    tradable = rng.random(n_symbols) < 0.85
    case = Case(wanted, tradable, np.abs(held) if is_long_only else held, limits)
    least, most = case.net_range
    # Net limits that sectors leave no room for are refused when they are declared.
    if least > most:
        return replace(case, limits=replace(limits, min_net=None))
    return case


def cases(least: int = 1, most: int = 9) -> st.SearchStrategy[Case]:
    """Draw `draw_case` by a seed: hypothesis finds no simpler failure, and fails repeatably."""
    return st.builds(
        lambda seed, n: draw_case(np.random.default_rng(seed), n),
        st.integers(0, 2**32 - 1),
        st.integers(least, most),
    )


def kept_book(case: Case) -> Case:
    """Return a case whose book keeps the limits, so that all of them can be kept together."""
    hard = case.without_turnover()
    return case.holding(project(hard.wanting(case.held)))


def least_turnover(case: Case) -> float:
    """Return the least turnover with which the other limits can be kept, by linear programming."""
    parts = _split_form(case)
    n = len(case.wanted)
    cost = np.concatenate([np.zeros(2 * n), case.tradable.astype(float)])
    found = linprog(cost, parts.rows, parts.most, bounds=parts.bounds, method="highs")
    assert found.status == 0, found.message
    return float(found.fun)


def nearest_by_general_solver(case: Case) -> Floats:
    """Return the nearest weights by sequential quadratic programming from a feasible point."""
    parts = _split_form(case)
    n = len(case.wanted)
    rows, most = parts.rows, parts.most
    if case.limits.max_turnover is not None:
        rows = np.vstack([rows, np.concatenate([np.zeros(2 * n), case.tradable])])
        most = np.append(most, max(case.limits.max_turnover, least_turnover(case)))
    to_weights = np.hstack([np.eye(n), -np.eye(n), np.zeros((n, n))])
    found = minimize(
        lambda z: 0.5 * ((to_weights @ z - case.wanted) ** 2).sum(),
        np.zeros(3 * n),
        jac=lambda z: to_weights.T @ (to_weights @ z - case.wanted),
        bounds=parts.bounds,
        constraints=LinearConstraint(rows, ub=most),
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return to_weights @ found.x


@dataclass(frozen=True)
class _SplitForm:
    rows: Floats
    most: Floats
    bounds: list[tuple[float, float | None]]


def _split_form(case: Case) -> _SplitForm:
    """Limits but turnover as linear ones on long parts, short parts and distances to the book."""
    limits, n = case.limits, len(case.wanted)
    one, none = np.ones(n), np.zeros(n)
    least, most = case.net_range
    rows = [np.concatenate([one, one, none])]
    sides = [limits.max_gross]
    net = np.concatenate([one, -one, none])
    for row, side in ((net, most), (-net, -least)):
        if np.isfinite(side):
            rows.append(row)
            sides.append(side)
    if limits.max_sector_gross is not None:
        for sector in set(limits.sectors):
            inside = (np.array(limits.sectors) == sector).astype(float)
            rows.append(np.concatenate([inside, inside, none]))
            sides.append(limits.max_sector_gross)
    for at in range(n):
        unit = np.eye(n)[at]
        rows += [np.concatenate([unit, -unit, -unit]), np.concatenate([-unit, unit, -unit])]
        sides += [case.held[at], -case.held[at]]
    cap = np.where(case.tradable, limits.max_weight, 0.0)
    short = np.zeros(n) if limits.is_long_only else cap
    bounds: list[tuple[float, float | None]] = [(0.0, c) for c in [*cap, *short]]
    return _SplitForm(np.array(rows), np.array(sides), [*bounds, *[(0.0, None)] * n])
