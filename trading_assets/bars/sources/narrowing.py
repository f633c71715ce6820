"""Asks a source for less and less, to find out for which symbols and months it fails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from trading_assets.bars.months import Month
from trading_assets.bars.sources.source import BarSource, FetchedBars
from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES

Cell = tuple[str, str]

# A failure that reads the same for so many parts of a request is none of a part's.
_SAME_FAILURES = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, in parts, and the reason for each symbol and month that could not be fetched."""

    parts: Sequence[FetchedBars] = ()
    failures: Mapping[Cell, str] = field(default_factory=dict[Cell, str])

    @property
    def rows(self) -> pl.DataFrame:
        """Table `raw_bars` of all parts."""
        return _concat("raw_bars", [part.rows for part in self.parts])

    @property
    def series(self) -> pl.DataFrame:
        """Table `series` of all parts; several may hold what is about no single symbol."""
        return _concat("series", [part.series for part in self.parts]).unique(maintain_order=True)

    @property
    def actions(self) -> pl.DataFrame:
        """Table `corporate_actions` of all parts."""
        return _concat("corporate_actions", [part.actions for part in self.parts])

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of all parts, each once."""
        return tuple(dict.fromkeys(note for part in self.parts for note in part.notes))


@dataclass(frozen=True, slots=True)
class _Request:
    symbols: tuple[str, ...]
    months: tuple[Month, ...]

    def by_symbol(self) -> "list[_Request]":
        return [_Request((symbol,), self.months) for symbol in self.symbols]

    def by_month(self) -> "list[_Request]":
        return [_Request(self.symbols, (month,)) for month in self.months]

    def failed(self, reason: str) -> Answer:
        cells = ((symbol, month.key) for symbol in self.symbols for month in self.months)
        return Answer((), dict.fromkeys(cells, reason))


class NarrowedSource:
    """A source that can be asked for a part of its universe."""

    def __init__(self, spec: MarketDataSpec, build: Callable[[MarketDataSpec], BarSource]) -> None:
        self._spec = spec
        self._build = build
        self.whole = build(spec)
        self._parts: dict[tuple[str, ...], BarSource] = {spec.universe: self.whole}

    def ask(self, symbols: Sequence[str], months: Sequence[Month], as_of: datetime) -> Answer:
        """Return what the source has of `symbols` in `months`.

        If it raises `DataError`, it is asked for each symbol alone and then for each month alone,
        until the failing ones are found. Where two such parts fail with the words of the whole,
        no further part is asked: a vendor that is down is not asked a thousand times.
        """
        return self._ask(_Request(tuple(symbols), tuple(months)), as_of)

    def _ask(self, request: _Request, as_of: datetime) -> Answer:
        answer = self._try(request, as_of)
        return self._narrow(request, answer, as_of) if answer.failures else answer

    def _narrow(self, request: _Request, failed: Answer, as_of: datetime) -> Answer:
        for pieces in (request.by_symbol(), request.by_month()):
            answers = self._try_each(pieces, failed, as_of)
            if answers:
                found = [
                    self._narrow(piece, answer, as_of) if answer.failures else answer
                    for piece, answer in zip(pieces, answers, strict=True)
                ]
                return Answer(
                    [part for answer in found for part in answer.parts],
                    {cell: why for answer in found for cell, why in answer.failures.items()},
                )
        return failed

    def _try_each(
        self, pieces: Sequence[_Request], failed: Answer, as_of: datetime
    ) -> list[Answer]:
        """Return an answer to each piece, or none if asking for pieces leads nowhere."""
        reason = _reason(failed)
        answers: list[Answer] = []
        if len(pieces) == 1:
            return answers
        for piece in pieces:
            answers.append(self._try(piece, as_of))
            alike = [answer for answer in answers if answer.failures and _reason(answer) == reason]
            if len(alike) == len(answers) == _SAME_FAILURES:
                return []
        return answers

    def _try(self, request: _Request, as_of: datetime) -> Answer:
        if request.symbols not in self._parts:
            part = self._spec.model_copy(update={"universe": request.symbols})
            self._parts[request.symbols] = self._build(part)
        source = self._parts[request.symbols]
        try:
            return Answer([source.fetch(request.months[0].first, request.months[-1].last, as_of)])
        except DataError as error:
            return request.failed(str(error))


def _reason(failed: Answer) -> str:
    return next(iter(failed.failures.values()))


def _concat(table: str, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([TABLES[table].empty(), *frames])
