"""What was known when a decision was prepared, and whether what comes later only adds to it."""

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from trading_assets.features.scrambling import FeatureInputs

_ONE_DAY = timedelta(days=1)
_BAR = ("symbol", "session")
_ACTION = ("symbol", "ex_date", "kind", "knowledge_time")
_VALUE = ("series", "symbol", "event_time", "session", "revision")


class UnpreparedError(Exception):
    """What came does not fit what was prepared; the whole tables have to be decided on."""


@dataclass(frozen=True, slots=True)
class PreparedTables:
    """Tables up to the eve of a session.

    Attributes
    ----------
    session : date
        The session that comes.
    last : date
        The last session with bars before it.
    known : FeatureInputs
        Bars and series of sessions before, and actions up to the last of them, in their order.
    announced : DataFrame
        Actions that go ex after that and up to the session, as far as they were known.
    """

    session: date
    last: date
    known: FeatureInputs
    announced: pl.DataFrame

    @classmethod
    def of(cls, tables: FeatureInputs, session: date) -> "PreparedTables":
        """Return what tables say up to the eve of a session; later rows are left out.

        Raises
        ------
        UnpreparedError
            If they hold no bar before it.
        """
        bars = tables.bars.filter(pl.col("session") < session)
        last = bars["session"].max()
        if not isinstance(last, date):
            msg = f"no bar is known before {session}"
            raise UnpreparedError(msg)
        known, announced = _split_actions(tables.actions, last, session)
        series = tables.series.filter(pl.col("session") < session)
        return cls(session, last, FeatureInputs(bars, known, series), announced)

    def rows_new_in(self, tables: FeatureInputs) -> FeatureInputs:
        """Return the rows of whole tables that came with the session; later ones are left out.

        Raises
        ------
        UnpreparedError
            If earlier rows are not those that were known.
        """
        actions, new = _split_actions(tables.actions, self.last, self.session)
        earlier = pl.col("session") < self.session
        bars, series = tables.bars.filter(earlier), tables.series.filter(earlier)
        for name, found, held in (
            ("bars", bars, self.known.bars),
            ("actions", actions, self.known.actions),
            ("series", series, self.known.series),
        ):
            if not found.equals(held):
                msg = f"{name} before {self.session} are not those that were prepared"
                raise UnpreparedError(msg)
        own = pl.col("session") == self.session
        return FeatureInputs(tables.bars.filter(own), new, tables.series.filter(own))

    def rows_to_use(self, arrived: FeatureInputs) -> FeatureInputs:
        """Return rows that arrived, with the actions that were announced.

        Raises
        ------
        UnpreparedError
            If some are of an earlier session, which they revise, or of a later one.
        """
        for name, column, rows in (
            ("bar", "session", arrived.bars),
            ("action", "ex_date", arrived.actions),
            ("value of a series", "session", arrived.series),
        ):
            days: list[date] = rows[column].to_list()
            first = self.last + _ONE_DAY if name == "action" else self.session
            others = [day for day in days if not first <= day <= self.session]
            if others:
                msg = f"a {name} of {others[0]} came when {self.session} was prepared"
                raise UnpreparedError(msg)
        actions = arrived.actions
        if len(self.announced):
            actions = _newest(self.announced, actions, _ACTION)
        return FeatureInputs(arrived.bars, actions, arrived.series)


def merge_arrived(tables: FeatureInputs, arrived: FeatureInputs, session: date) -> FeatureInputs:
    """Return tables up to the eve of a session with the rows that arrived.

    One that arrived takes the place of the one with its key; actions up to the session were known.
    """
    before = pl.col("session") < session
    return FeatureInputs(
        _newest(tables.bars.filter(before), arrived.bars, _BAR),
        _newest(tables.actions.filter(pl.col("ex_date") <= session), arrived.actions, _ACTION),
        _newest(tables.series.filter(before), arrived.series, _VALUE),
    )


def require_one_bar_a_symbol(bars: pl.DataFrame, symbols: tuple[str, ...]) -> None:
    """Refuse a session without bars, with two bars of a symbol, or with one that was not held.

    Raises
    ------
    UnpreparedError
        Naming the first.
    """
    names = bars["symbol"].to_list()
    strangers = sorted({*names} - {*symbols})
    if not names or strangers or len(set(names)) != len(names):
        what = f"of {strangers[0]}, which was not held" if strangers else f"{len(names)} in all"
        msg = f"bars came {what}; expected one of each symbol at most"
        raise UnpreparedError(msg)


def _newest(held: pl.DataFrame, arrived: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    return pl.concat([held, arrived]).unique(key, keep="last", maintain_order=True)


def _split_actions(
    actions: pl.DataFrame, last: date, session: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the actions up to the last session, and those after it up to the session."""
    day = pl.col("ex_date")
    return actions.filter(day <= last), actions.filter((day > last) & (day <= session))
