"""Every version of an action that was known: a correction is a further row, as for bars.

Versions of one action (symbol, ex date, kind) differ in `knowledge_time`. A version whose origin is
`WITHDRAWN` says that the source lists the action no more.
"""

from datetime import datetime

import polars as pl

from trading_assets.errors import DataError, UserError
from trading_assets.schema import TABLES, UTC_TIME, conform

ACTION = ("symbol", "ex_date", "kind")

WITHDRAWN = "withdrawn by the source"

_EFFECT = ("split_ratio", "cash_usd", "new_symbol")
_STANDS = pl.col("origin") != WITHDRAWN


def merge_actions(
    stored: pl.DataFrame | None,
    fetched: pl.DataFrame,
    as_of: datetime,
    *,
    fetched_before: datetime | None = None,
    is_complete: bool = True,
) -> pl.DataFrame:
    """Return `stored` with what is new in `fetched` as further versions.

    An action whose effect changed adds a version known from `as_of` on. One that no fetch before
    had shown, though it should have been known then, is known from `as_of` on too. No stored
    version is changed or removed.

    Parameters
    ----------
    stored : DataFrame or None
        Table `corporate_actions`, all versions with an ex date in the range that was asked for;
        None before the first fetch.
    fetched : DataFrame
        Table `corporate_actions`, one fetch of that range.
    as_of : datetime
        Aware moment of the fetch.
    fetched_before : datetime, optional
        Moment of the last fetch of the range before this one.
    is_complete : bool
        Whether `fetched` holds all actions of the source that `stored` came from: a stored action
        that it lacks is then withdrawn. False where a fallback answered.

    Returns
    -------
    DataFrame
        Sorted by symbol, ex date, kind and knowledge time.

    Raises
    ------
    DataError
        If the fetch holds an action twice with different effects, or corrects one with a fetch that
        is not later than what is stored.
    """
    moment = pl.lit(_aware(as_of)).cast(UTC_TIME)
    fetched = conform("corporate_actions", fetched)
    if fetched.is_empty() and (stored is None or stored.is_empty()):
        # Most months have no action, and a range has hundreds of months.
        return fetched
    fetched = _single_versions(fetched)
    if stored is None:
        return _sorted(fetched)
    stored = conform("corporate_actions", stored)
    newest = _newest(stored)
    compared = fetched.join(newest, on=ACTION, how="left", suffix="_stored")
    is_new = pl.col("origin_stored").is_null()
    is_changed = ~is_new & pl.any_horizontal(
        pl.col("origin_stored") == WITHDRAWN,
        *(pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in _EFFECT),
    )
    known = pl.col("knowledge_time")
    is_late = is_new & pl.lit(fetched_before is not None) & (known <= pl.lit(fetched_before))
    changed = compared.filter(is_changed)
    _require_later_fetch(changed, changed["knowledge_time_stored"], as_of, fetched_before)
    additions = [
        compared.filter(is_new | is_changed).with_columns(
            pl.when(is_changed | is_late)
            .then(pl.max_horizontal(moment, known))
            .otherwise(known)
            .alias("knowledge_time")
        )
    ]
    if is_complete:
        withdrawn = newest.filter(_STANDS & (known <= moment)).join(fetched, on=ACTION, how="anti")
        _require_later_fetch(withdrawn, withdrawn["knowledge_time"], as_of, fetched_before)
        additions.append(
            withdrawn.with_columns(
                moment.alias("knowledge_time"), pl.lit(WITHDRAWN).alias("origin")
            )
        )
    columns = TABLES["corporate_actions"].names
    return _sorted(pl.concat([stored, *(rows.select(columns) for rows in additions)]))


def actions_known_at(actions: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Return the actions that were known at `moment`, each in the version known then.

    Parameters
    ----------
    actions : DataFrame
        Table `corporate_actions`, all versions.
    moment : datetime
        Time zone aware; a version counts when its `knowledge_time` is not after it.

    Returns
    -------
    DataFrame
        Table `corporate_actions`, one row a symbol, ex date and kind, without those withdrawn by
        then. An action can be known before its ex date; it acts from the ex date on.
    """
    return newest_actions(
        actions.filter(pl.col("knowledge_time") <= pl.lit(_aware(moment)).cast(UTC_TIME))
    )


def newest_actions(actions: pl.DataFrame) -> pl.DataFrame:
    """Return each action in its newest version, without those that were withdrawn.

    Two versions of one time that differ both stay, for `check_actions` to name them.
    """
    known = pl.col("knowledge_time")
    return (
        _sorted(actions)
        .filter(known.eq_missing(known.max().over(ACTION)))
        .unique([*ACTION, *_EFFECT], keep="last", maintain_order=True)
        .filter(_STANDS)
    )


def _newest(actions: pl.DataFrame) -> pl.DataFrame:
    return _sorted(actions).unique(ACTION, keep="last", maintain_order=True)


def _sorted(actions: pl.DataFrame) -> pl.DataFrame:
    return actions.sort(*ACTION, "knowledge_time", maintain_order=True)


def _single_versions(fetched: pl.DataFrame) -> pl.DataFrame:
    fetched = fetched.unique([*ACTION, *_EFFECT], maintain_order=True)
    twice = fetched.filter(pl.struct(ACTION).is_duplicated())
    if not twice.is_empty():
        row = twice.row(0, named=True)
        msg = (
            f"one fetch holds {row['kind']} of {row['symbol']} on {row['ex_date']} more than once"
            " with different effects; expected one version, so fetch again or report it to the"
            " vendor"
        )
        raise DataError(msg)
    return fetched


def _require_later_fetch(
    changed: pl.DataFrame, known: pl.Series, as_of: datetime, fetched_before: datetime | None
) -> None:
    if changed.is_empty():
        return
    newest: datetime = known.max()  # pyright: ignore[reportAssignmentType] # a column of times
    before = newest if fetched_before is None else max(newest, fetched_before)
    if as_of <= before:
        row = changed.row(0, named=True)
        msg = (
            f"{row['kind']} of {row['symbol']} on {row['ex_date']} changed in a fetch of {as_of},"
            f" not after the stored one of {before}; expected a later fetch, because a correction"
            " must not alter what was already known"
        )
        raise DataError(msg)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = f"moment was {moment} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    return moment
