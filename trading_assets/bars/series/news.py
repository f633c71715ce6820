"""News as series: how good the headlines of a symbol are at a close, how many, and how new."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.series.columns import end_times, of_universe, place, read_columns
from trading_assets.bars.series.readers import session_closes
from trading_assets.bars.series.sentiment import (
    SentimentModel,
    build_sentiment_model,
    score_texts,
    words,
)
from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.source_specs import NewsSeries

# A headline of that age weighs less than a millionth; to drop it bounds what a fetch must read.
_FORGOTTEN_HALF_LIVES = 20


class _Close(NamedTuple):
    session: date
    previous_close: datetime
    close: datetime


class NewsSentiment:
    """Three series from a file of headlines, each known at the close of its session.

    A headline counts from the first close at or after its publication; a publication date without
    a time stands for the end of its day. With scores s_i and weights w_i, halved every
    `half_life_hours` from publication to the close and 0 after twenty half lives, per symbol:

    - ``<series>_score = sum(w_i s_i) / max(1, sum(w_i))``: the weighted mean, which fades to 0 when
      less than one fresh headline's weight is left;
    - ``<series>_count``: headlines since the close before;
    - ``<series>_novelty``: share of these that resemble none of the symbol's headlines published
      up to `novelty_days` earlier; no row without a headline. Two resemble each other when they
      share `duplicate_overlap` of all their words (Jaccard index).

    A symbol has rows from its first headline on, while the file has any headline of the last twenty
    half lives: a file that ends is no proof that there was no news.
    """

    def __init__(
        self, spec: MarketDataSpec, source: NewsSeries, calendar: ExchangeCalendar
    ) -> None:
        self._spec = spec
        self._source = source
        self._calendar = calendar
        self._memory = timedelta(hours=source.half_life_hours * _FORGOTTEN_HALF_LIVES)

    def fetch(self, start: date, end: date, as_of: datetime) -> pl.DataFrame:
        """Return the three series at the closes of the sessions `start` to `end`.

        Raises
        ------
        UserError
            If the file, a column or the sentiment model is missing.
        DataError
            If a row has no readable time or headline, or the model's scores are unusable.
        """
        closes = [
            _Close(*row)
            for row in session_closes(self._calendar, start, end).rows()
            if row[2] <= as_of
        ]
        if not closes:
            return TABLES["series"].empty()
        headlines = self._headlines.filter(pl.col("published_at") <= closes[-1].close)
        published: list[datetime] = headlines["published_at"].to_list()
        closes = [at for at in closes if self._is_fed(published, at.close)]
        rows = [
            row
            for (symbol,), own in headlines.partition_by(
                "symbol", as_dict=True, include_key=False
            ).items()
            for row in self._rows(str(symbol), own, closes)
        ]
        return _table(rows, as_of)

    @cached_property
    def _headlines(self) -> pl.DataFrame:
        """Symbol, published_at and headline of the universe, each once, in order of time."""
        file = self._spec.folder / self._source.file
        rows = of_universe(
            read_columns(
                file, ("symbol", "published_at", "headline"), self._source.columns, {"symbol"}
            ),
            self._spec.universe,
            file,
        ).with_columns(pl.col("headline").cast(pl.String).str.strip_chars())
        empty = rows.filter(pl.col("headline").is_null() | (pl.col("headline") == ""))
        if not empty.is_empty():
            msg = f"{place(file, empty)}: headline was empty; expected text, so leave the row out"
            raise DataError(msg)
        published = end_times(rows, "published_at", self._calendar.time_zone.key, file)
        return (
            rows.select("symbol", published, "headline")
            .unique()
            .sort("published_at", "symbol", "headline")
        )

    def _is_fed(self, published: Sequence[datetime], close: datetime) -> bool:
        known = bisect_right(published, close)
        return known > 0 and published[known - 1] > close - self._memory

    def _rows(
        self, symbol: str, headlines: pl.DataFrame, closes: Sequence[_Close]
    ) -> Iterator[tuple[str, str, date, datetime, float]]:
        published: list[datetime] = headlines["published_at"].to_list()
        closes = [at for at in closes if published[0] <= at.close]
        if not closes:
            return
        first = bisect_right(published, closes[0].close - self._memory)
        texts: list[str] = headlines["headline"].to_list()
        scores = [0.0] * first + self._scores(texts[first:])
        is_new = self._news(published, texts, bisect_right(published, closes[0].previous_close))
        for at in closes:
            known = bisect_right(published, at.close)
            fresh = bisect_right(published, at.previous_close)
            oldest = bisect_right(published, at.close - self._memory)
            values = {
                "score": self._decayed_mean(published[oldest:known], scores[oldest:known], at),
                "count": float(known - fresh),
            }
            if known > fresh:
                values["novelty"] = sum(is_new[fresh:known]) / (known - fresh)
            for name, value in values.items():
                yield f"{self._source.series}_{name}", symbol, at.session, at.close, value

    def _scores(self, texts: Sequence[str]) -> list[float]:
        scored = score_texts(self._model, texts)
        return [scored[text] for text in texts]

    @cached_property
    def _model(self) -> SentimentModel:
        return build_sentiment_model(self._source.model)

    def _decayed_mean(
        self, published: Sequence[datetime], scores: Sequence[float], at: _Close
    ) -> float:
        half_life = timedelta(hours=self._source.half_life_hours)
        weights = [0.5 ** ((at.close - moment) / half_life) for moment in published]
        # Exactly rounded sums: the value must not depend on where a fetch begins.
        total = math.fsum(weight * score for weight, score in zip(weights, scores, strict=True))
        return total / max(1.0, math.fsum(weights))

    def _news(self, published: Sequence[datetime], texts: Sequence[str], first: int) -> list[bool]:
        """Return whether each headline resembles none before it; not asked before `first`."""
        window = timedelta(days=self._source.novelty_days)
        begin = bisect_left(published, published[first] - window) if first < len(texts) else first
        bags = [frozenset[str]()] * begin + [_bag(text) for text in texts[begin:]]
        is_new = [False] * first
        for position in range(first, len(texts)):
            oldest = bisect_left(published, published[position] - window)
            is_new.append(
                not any(self._resemble(bags[position], bag) for bag in bags[oldest:position])
            )
        return is_new

    def _resemble(self, one: frozenset[str], other: frozenset[str]) -> bool:
        least, most = sorted((len(one), len(other)))
        if least < self._source.duplicate_overlap * most:
            return False
        common = len(one & other)
        return common >= self._source.duplicate_overlap * (least + most - common)


def _bag(headline: str) -> frozenset[str]:
    return frozenset(word for word in words(headline) if word[0].isalnum())


def _table(rows: Sequence[tuple[str, str, date, datetime, float]], as_of: datetime) -> pl.DataFrame:
    frame = pl.DataFrame(
        rows,
        schema={
            "series": pl.String,
            "symbol": pl.String,
            "session": pl.Date,
            "event_time": UTC_TIME,
            "value": pl.Float64,
        },
        orient="row",
    )
    return conform(
        "series",
        frame.with_columns(
            pl.col("event_time").alias("knowledge_time"),
            pl.lit(as_of).cast(UTC_TIME).alias("ingest_time"),
            pl.lit(0, dtype=pl.Int32).alias("revision"),
        ).sort(TABLES["series"].key),
    )
