"""Combinatorial purged cross-validation as dates: groups, splits and the paths they make.

Sessions are cut into N groups; each choice of k groups to test is a split, fitted on what purge and
embargo leave of the others. Each group is tested by C(N - 1, k - 1) splits, so that its tests can
be chained to as many paths, each through all sessions once. This module knows dates only.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations, pairwise
from math import comb

from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.errors import DataError


@dataclass(frozen=True, slots=True)
class Gap:
    """What is left out around a test group, in sessions.

    Attributes
    ----------
    horizon_bars : int
        Life of a label; also left out between the end of a train label and a group.
    embargo_sessions : int
        Left out after the last label of a group, see `forecast.purging.count_embargoed`.
    """

    horizon_bars: int
    embargo_sessions: int


@dataclass(frozen=True, slots=True)
class CombinatorialSplit:
    """One choice of groups to test.

    Attributes
    ----------
    number : int
        From 0, in the order of the groups that are tested.
    test_groups : tuple of int
        Groups, ascending from 0.
    train : tuple of date
        Sessions that may be fitted on, ascending: no label of theirs ends within the horizon before
        a test group, and none of them lies within the embargo after a test group's last label.
    """

    number: int
    test_groups: tuple[int, ...]
    train: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class CombinatorialSplits:
    """Groups of sessions and every split of them.

    Attributes
    ----------
    groups : tuple of tuple of date
        Consecutive sessions, each in one group; sizes differ by at most one, larger groups first.
    splits : tuple of CombinatorialSplit
        All C(N, k), in the order of the groups that are tested.
    """

    groups: tuple[tuple[date, ...], ...]
    splits: tuple[CombinatorialSplit, ...]

    @property
    def n_paths(self) -> int:
        """Paths through all sessions, `C(N, k) k / N`."""
        return len(self.splits) * len(self.splits[0].test_groups) // len(self.groups)

    def tested_by(self, group: int) -> tuple[CombinatorialSplit, ...]:
        """Return the splits that test a group; the n-th of them does so on path n, from 0."""
        return tuple(split for split in self.splits if group in split.test_groups)

    def path_of(self, split: CombinatorialSplit, group: int) -> int:
        """Return the path, from 0, that a split's test of a group belongs to."""
        return self.tested_by(group).index(split)


def split_sessions(
    sessions: Sequence[date], spec: CrossValidationSpec, gap: Gap
) -> CombinatorialSplits:
    """Return all splits of consecutive sessions.

    Parameters
    ----------
    sessions : sequence of date
        Sessions of an exchange, ascending.
    spec : CrossValidationSpec
        Groups, and how many are tested.
    gap : Gap
        What is left out around test groups.

    Raises
    ------
    DataError
        If sessions are not ascending, are fewer than groups, or a split leaves none to fit on.
    """
    _require_order(sessions)
    bounds = _bounds(len(sessions), spec.groups)
    splits = tuple(
        CombinatorialSplit(
            number,
            tested,
            tuple(
                day
                for position, day in enumerate(sessions)
                if all(_is_clear(position, bounds[group], gap) for group in tested)
            ),
        )
        for number, tested in enumerate(combinations(range(spec.groups), spec.test_groups))
    )
    without = next((split for split in splits if not split.train), None)
    if without is not None:
        tested = " and ".join(str(group + 1) for group in without.test_groups)
        msg = (
            f"{len(sessions)} sessions in {spec.groups} groups leave none to fit on where {tested}"
            f" are tested, with {2 * gap.horizon_bars} sessions left out before each and"
            f" {gap.horizon_bars + gap.embargo_sessions} after it; expected some: lower"
            " backtest.cross_validation.groups or test_groups, or declare more folds"
        )
        raise DataError(msg)
    groups = tuple(tuple(sessions[first : last + 1]) for first, last in bounds)
    return CombinatorialSplits(groups, splits)


def count_paths(spec: CrossValidationSpec) -> int:
    """Return how many paths the splits of a declaration make."""
    return comb(spec.groups, spec.test_groups) * spec.test_groups // spec.groups


def _bounds(n_sessions: int, n_groups: int) -> list[tuple[int, int]]:
    """Return the first and last position of each group."""
    if n_sessions < n_groups:
        msg = (
            f"{n_sessions} sessions were to be cut into {n_groups} groups; expected at least one"
            " for each: lower backtest.cross_validation.groups or declare more folds"
        )
        raise DataError(msg)
    size, larger = divmod(n_sessions, n_groups)
    starts = [group * size + min(group, larger) for group in range(n_groups + 1)]
    return [(first, after - 1) for first, after in pairwise(starts)]


def _is_clear(position: int, group: tuple[int, int], gap: Gap) -> bool:
    """Say whether a session may be fitted on where a group is tested.

    Its label ends a horizon after it, and has to end more than a horizon before the group; or it
    comes more than the embargo after the group's last label has ended.
    """
    first, last = group
    label_end = position + gap.horizon_bars
    last_label_end = last + gap.horizon_bars
    return label_end < first - gap.horizon_bars or position > last_label_end + gap.embargo_sessions


def _require_order(sessions: Sequence[date]) -> None:
    for before, after in pairwise(sessions):
        if after <= before:
            msg = (
                f"session {after} followed {before}; expected ascending sessions, each once: sort"
                " them"
            )
            raise DataError(msg)
