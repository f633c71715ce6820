"""A source of one's own: found by name, called, and held to what every source promises."""

import inspect
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Any

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.own_modules import import_own_module
from trading_assets.bars.sources.contract import delivery_problems
from trading_assets.bars.sources.source import BarSource, FetchedBars
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, conform
from trading_assets.source_specs import ModuleSource

_NAMED = 3


class OwnSource:
    """The source that a callable of the declared module returns.

    It is called as ``factory(spec=..., calendar=..., options=..., credentials=...)`` before the
    first fetch and has to return an object with ``fetch(start, end, as_of) -> FetchedBars``.
    Whatever the object raises reaches the caller; let it raise `DataError` where its vendor fails,
    so that a declared fallback stands in.

    Parameters
    ----------
    spec, source : MarketDataSpec, ModuleSource
        The data set, and where the callable is.
    calendar : ExchangeCalendar
        Passed on.
    credentials : mapping
        Passed on.
    """

    def __init__(
        self,
        spec: MarketDataSpec,
        source: ModuleSource,
        calendar: ExchangeCalendar,
        credentials: Mapping[str, str],
    ) -> None:
        self._spec = spec
        self._source = source
        self._calendar = calendar
        self._credentials = credentials

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return what the own source delivers, sorted, once it is known to be fit for the store.

        Raises
        ------
        UserError
            If the module, the callable or what it returns is not as described.
        DataError
            If what is fetched breaks a promise of every source.
        """
        fetched = self._own.fetch(start, end, as_of)
        problems = delivery_problems(fetched, self._spec, start, end, as_of)
        if problems:
            others = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
            msg = (
                f"{self._source.factory} delivered what cannot be stored:"
                f" {'; '.join(problems[:_NAMED])}{others}; run"
                " trading_assets.bars.sources.contract.check_source against it"
            )
            raise DataError(msg)
        return FetchedBars(
            conform("raw_bars", fetched.rows).sort(TABLES["raw_bars"].key),
            conform("series", fetched.series).sort(TABLES["series"].key),
            conform("corporate_actions", fetched.actions).sort(TABLES["corporate_actions"].key),
            fetched.notes,
        )

    @cached_property
    def _own(self) -> BarSource:
        arguments: dict[str, Any] = {
            "spec": self._spec,
            "calendar": self._calendar,
            "options": self._source.options,
            "credentials": self._credentials,
        }
        own = _load(self._source.factory, arguments)(**arguments)
        if not callable(getattr(own, "fetch", None)):
            msg = (
                f"{self._source.factory} returned {type(own).__name__}; expected an object with"
                " fetch(start, end, as_of)"
            )
            raise UserError(msg)
        return own


def _load(factory: str, arguments: Mapping[str, Any]) -> Callable[..., Any]:
    module_name, _, name = factory.partition(":")
    module = import_own_module(module_name, "source module")
    found = getattr(module, name, None)
    if not callable(found):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        msg = (
            f"source factory {factory} is {what}; expected a callable that takes spec, calendar,"
            " options and credentials"
        )
        raise UserError(msg)
    try:
        inspect.signature(found).bind(**arguments)
    except TypeError as error:
        msg = (
            f"source factory {factory} cannot be called ({error}); expected one that takes"
            f" {', '.join(arguments)} by name"
        )
        raise UserError(msg) from error
    return found
