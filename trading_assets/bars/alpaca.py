"""Daily bars and corporate actions of Alpaca's market-data API, unadjusted, all pages.

`alpaca-py` sets no timeout, so its session gets one here; it retries status 429 and 504 itself,
three times. Only market data is read, so a repeated request does no harm.
"""

import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import requests

from trading_assets.bars.alpaca_answers import Json, malformed, parse_actions, parse_prices
from trading_assets.bars.calendar import ExchangeCalendar
from trading_assets.bars.sources import FetchedBars
from trading_assets.bars.stamps import stamp_bars
from trading_assets.errors import DataError, MissingKeyError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME
from trading_assets.source_specs import AlpacaSource

with warnings.catch_warnings():
    # alpaca-py still imports websockets.legacy, which warns; nothing here opens a stream.
    warnings.filterwarnings("ignore", "websockets.legacy", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.common.rest import RESTClient
    from alpaca.data.enums import Adjustment, CorporateActionsType, DataFeed
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.requests import CorporateActionsRequest, StockBarsRequest
    from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

KEY_NAMES = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")

_CONNECT_TIMEOUT_S = 3.05
_READ_TIMEOUT_S = 30.0
_REFUSALS = (401, 403)
_ACTION_TYPES = [
    CorporateActionsType.FORWARD_SPLIT,
    CorporateActionsType.REVERSE_SPLIT,
    CorporateActionsType.STOCK_DIVIDEND,
    CorporateActionsType.CASH_DIVIDEND,
]


class _TimedSession(requests.Session):
    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 # options pass through
        if options.get("timeout") is None:
            options["timeout"] = (_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)
        return super().send(request, **options)


class AlpacaBars:
    """Bars of one Alpaca feed with splits and cash dividends.

    Spin-offs and mergers are not turned into actions; validation reports the returns they leave
    unexplained.

    Parameters
    ----------
    spec, source : MarketDataSpec, AlpacaSource
        Universe, lag and feed.
    calendar : ExchangeCalendar
        Dates the bars' closes.
    credentials : mapping
        `ALPACA_API_KEY` and `ALPACA_SECRET_KEY`; looked at by `fetch`, so that a data set without
        keys can be declared.
    url_override : str, optional
        Another server that speaks the same API.
    """

    def __init__(
        self,
        spec: MarketDataSpec,
        source: AlpacaSource,
        calendar: ExchangeCalendar,
        credentials: Mapping[str, str],
        url_override: str | None = None,
    ) -> None:
        self._spec = spec
        self._source = source
        self._calendar = calendar
        self._credentials = credentials
        self._url_override = url_override

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the bars and actions of `start` to `end` that were published at `as_of`.

        Raises
        ------
        MissingKeyError
            If a key is missing.
        UserError
            If Alpaca refuses the keys or the feed.
        DataError
            If Alpaca cannot be reached, fails, or answers with something that is no bar.
        """
        keys = self._keys()
        prices = parse_prices(self._request_bars(keys, start, end, as_of), self._calendar)
        # A vendor's day may reach over the range's edge; the caller stores by session.
        prices = prices.filter(pl.col("session").is_between(start, end)).unique(maintain_order=True)
        actions = parse_actions(self._request_actions(keys, start, end), self._calendar)
        return FetchedBars(
            stamp_bars(prices, self._spec, self._calendar, as_of),
            TABLES["series"].empty(),
            actions.filter(pl.col("knowledge_time") <= pl.lit(as_of).cast(UTC_TIME)),
        )

    def _keys(self) -> tuple[str, str]:
        missing = [name for name in KEY_NAMES if not self._credentials.get(name)]
        if missing:
            msg = (
                f"the alpaca source needs {' and '.join(missing)}, not set in the environment;"
                " set it to a key of your Alpaca paper account"
            )
            raise MissingKeyError(msg)
        api_key, secret_key = (self._credentials[name] for name in KEY_NAMES)
        return api_key, secret_key

    def _request_bars(self, keys: tuple[str, str], start: date, end: date, as_of: datetime) -> Json:
        # The free plan refuses a sip range that reaches into the last 15 minutes.
        published_until = as_of - timedelta(minutes=self._spec.publication_lag_minutes)
        first = datetime.combine(start, time.min, tzinfo=self._calendar.time_zone)
        last = datetime.combine(end, time(23, 59, 59), tzinfo=self._calendar.time_zone)
        if published_until < first:
            return {}
        client = StockHistoricalDataClient(*keys, raw_data=True, url_override=self._url_override)
        request = StockBarsRequest(
            symbol_or_symbols=list(self._spec.universe),
            timeframe=TimeFrame(1, TimeFrameUnit("Day")),
            start=first.astimezone(UTC),
            end=min(last, published_until).astimezone(UTC),
            adjustment=Adjustment.RAW,
            feed=DataFeed(self._source.feed),
        )
        return _call(client, lambda: client.get_stock_bars(request))

    def _request_actions(self, keys: tuple[str, str], start: date, end: date) -> Json:
        client = CorporateActionsClient(*keys, raw_data=True, url_override=self._url_override)
        request = CorporateActionsRequest(
            symbols=list(self._spec.universe), types=_ACTION_TYPES, start=start, end=end
        )
        return _call(client, lambda: client.get_corporate_actions(request))


def _call(client: RESTClient, send: Callable[[], Any]) -> Json:
    # There is no public way to give this client a timeout.
    client._session = _TimedSession()  # pyright: ignore[reportPrivateUsage]
    try:
        return send()
    except APIError as error:
        status = error.status_code
        if status in _REFUSALS:
            msg = (
                f"Alpaca refused the request for market data with status {status}; check"
                f" {' and '.join(KEY_NAMES)}, and that the account's plan includes the feed"
            )
            raise UserError(msg) from None
        msg = f"Alpaca answered the request for market data with status {status}; try again later"
        raise DataError(msg) from None
    except requests.JSONDecodeError as error:
        msg = f"Alpaca's answer is no JSON ({type(error).__name__}); try again later"
        raise DataError(msg) from None
    except requests.RequestException as error:
        msg = (
            f"Alpaca could not be reached ({type(error).__name__}); check the network and try"
            " again later"
        )
        raise DataError(msg) from None
    except (AttributeError, TypeError, ValueError) as error:
        # How alpaca-py fails on JSON that is no page of market data.
        raise malformed(error, what="page") from None
