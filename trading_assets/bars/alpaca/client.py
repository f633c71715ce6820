"""Reads Alpaca's market-data API through `alpaca-py`, with time limits, repeats and checked pages.

`alpaca-py` sets no timeout, repeats a read only after status 429 and 504 and then after a fixed
time, and takes a page without its token for the last one. Only GET is sent here, so a repeated
request does no harm. Keys travel in headers and appear in no message.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from trading_assets.bars.alpaca.refusals import Subject, refusal, unreadable
from trading_assets.bars.alpaca.transport import Patience, RedirectError, TimedAdapter, asked_wait_s
from trading_assets.errors import DataError
from trading_assets.source_specs import BarLength

with warnings.catch_warnings():
    # alpaca-py still imports websockets.legacy, which warns; nothing here opens a stream.
    warnings.filterwarnings("ignore", "websockets.legacy", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.common.rest import RESTClient
    from alpaca.data.enums import Adjustment, DataFeed
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.requests import CorporateActionsRequest, StockBarsRequest
    from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

Json = dict[str, Any]

_LOG = logging.getLogger(__name__)
_DEFAULT_URL = "https://data.alpaca.markets"
_TIMEFRAMES: Mapping[BarLength, tuple[int, str]] = {
    "1d": (1, "Day"),
    "1h": (1, "Hour"),
    "5m": (5, "Min"),
    "1m": (1, "Min"),
}


class _PatientReads(RESTClient):
    """Sends a read again within limits, and lets only pages through that are what they should be.

    One object makes one series of pages.
    """

    def prepare(self, patience: Patience, subject: Subject, page_key: str) -> None:
        self._patience = patience
        self._subject = subject
        self._page_key = page_key
        self._tokens: set[str] = set()
        self._retry = 0  # repeats are counted here, not by alpaca-py
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, TimedAdapter(patience))

    def get(self, path: str, data: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401 # as inherited
        """Return one page of market data.

        Raises
        ------
        UserError
            If Alpaca refuses the request.
        DataError
            If Alpaca cannot be reached, keeps failing or answers with something that is no page.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._checked(super().get(path, data, **kwargs))
            except APIError as error:
                response = _response_of(error)
                if not _may_pass(response):
                    raise refusal(response, self._subject) from None
                failure = f"status {response.status_code}"
                wait_s = asked_wait_s(response)
            except RedirectError as error:
                raise refusal(error.response, self._subject) from None
            except requests.JSONDecodeError:
                raise unreadable(self._subject, "is no JSON") from None
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failure, wait_s = type(error).__name__, None
            except (ValueError, RecursionError):
                # JSON with numbers too long or brackets too deep.
                raise unreadable(self._subject, "is no JSON that can be read") from None
            self._wait(attempt, failure, wait_s)

    def all_pages(self, send: Callable[[], Any]) -> Json:
        try:
            return send()
        except ValueError:
            # How alpaca-py refuses a page of more than one kind of data.
            raise unreadable(self._subject, "holds no readable page") from None
        finally:
            self._session.close()

    def _wait(self, attempt: int, failure: str, asked_s: float | None) -> None:
        longest = self._patience.longest_wait_s
        if asked_s is not None and asked_s > longest:
            failure += f" and asks to wait {asked_s:.0f} s, longer than the {longest:g} s allowed"
            raise self._given_up(failure, attempt)
        if attempt > self._patience.repeats:
            raise self._given_up(failure, attempt)
        wait_s = self._patience.first_wait_s * 2.0 ** (attempt - 1) if asked_s is None else asked_s
        _LOG.warning(
            "Alpaca gave %s for %s; sending again in %.0f s", failure, self._subject, wait_s
        )
        self._patience.sleep(wait_s)

    def _given_up(self, failure: str, requests_sent: int) -> DataError:
        times = "once" if requests_sent == 1 else f"{requests_sent} times"
        msg = (
            f"Alpaca could not be read for {self._subject}: {self._subject.host} gave {failure},"
            f" asked {times}; check the network and try again later"
        )
        return DataError(msg)

    def _checked(self, page: Any) -> Json:  # noqa: ANN401 # whatever JSON holds
        content = page.get(self._page_key) if isinstance(page, dict) else None
        if not isinstance(content, dict) or not all(isinstance(c, list) for c in content.values()):
            raise unreadable(self._subject, f"holds no readable page of {self._page_key}")
        if "next_page_token" not in page:
            raise unreadable(self._subject, "does not say whether more pages follow")
        token: object = page["next_page_token"]
        if token is None:
            return page
        if not isinstance(token, str) or not token:
            raise unreadable(self._subject, "holds no readable page token")
        if token in self._tokens:
            raise unreadable(self._subject, "names the same next page twice")
        self._tokens.add(token)
        return page


class _BarsClient(_PatientReads, StockHistoricalDataClient):
    pass


class _ActionsClient(_PatientReads, CorporateActionsClient):
    pass


class MarketDataReader:
    """One account's reads of bars and corporate actions.

    Parameters
    ----------
    keys : (str, str)
        Key and secret key.
    url : str or None
        Another address of the API; Alpaca's own when None.
    feed : str
        Feed of the bars.
    patience : Patience
        Time limits and repeats.
    """

    def __init__(
        self, keys: tuple[str, str], url: str | None, feed: str, patience: Patience
    ) -> None:
        self._keys = keys
        self._url = url
        self._feed = DataFeed(feed)
        self._patience = patience

    def bars(
        self, symbols: Sequence[str], bar_length: BarLength, first: datetime, last: datetime
    ) -> Json:
        """Return the unadjusted bars that start from `first` to `last`, by symbol, of all pages.

        Raises
        ------
        UserError
            If Alpaca refuses the request.
        DataError
            If Alpaca cannot be reached, keeps failing or answers with something that is no page.
        """
        amount, unit = _TIMEFRAMES[bar_length]
        request = StockBarsRequest(
            symbol_or_symbols=list(symbols),
            timeframe=TimeFrame(amount, TimeFrameUnit(unit)),
            start=first,
            end=last,
            adjustment=Adjustment.RAW,
            feed=self._feed,
            # Tickers as they were on the day: no bar of a former name under the present one.
            asof="-",
        )
        client = _BarsClient(*self._keys, raw_data=True, url_override=self._url)
        client.prepare(self._patience, self._subject("bars", symbols), "bars")
        return client.all_pages(lambda: client.get_stock_bars(request))

    def actions(self, symbols: Sequence[str], start: date, end: date) -> Json:
        """Return the actions that Alpaca processed from `start` to `end`, by kind, of all pages.

        Errors are those of `bars`.
        """
        request = CorporateActionsRequest(
            symbols=list(symbols),
            start=start,
            end=end,
            # Else alpaca-py stops after 1000 actions although more pages follow.
            limit=None,
        )
        client = _ActionsClient(*self._keys, raw_data=True, url_override=self._url)
        subject = self._subject("corporate actions", symbols)
        client.prepare(self._patience, subject, "corporate_actions")
        return client.all_pages(lambda: client.get_corporate_actions(request))

    def _subject(self, what: str, symbols: Sequence[str]) -> Subject:
        host = urlsplit(self._url or _DEFAULT_URL).hostname or ""
        feed = self._feed.value if what == "bars" else None
        return Subject(what, symbols, feed, host, self._keys)


def _response_of(error: APIError) -> requests.Response:
    response = error.response
    assert isinstance(response, requests.Response)
    return response


def _may_pass(response: requests.Response) -> bool:
    return (
        response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    )
