"""The referee of whole declarations: every field of a data set and of a strategy, and their ties."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from trading_assets_tests.fuzz.rules import (
    Rule,
    as_day,
    both,
    choice,
    covered_day,
    day,
    integer,
    is_zone,
    kinds,
    listing,
    mapping,
    merged,
    name,
    number,
    optional,
    record,
    stints_are_apart,
    symbol,
    text,
    truth,
)
from trading_assets_tests.fuzz.symbols import referee as symbol_of

MARKET = "trading_assets.pipeline.component.MarketData"
STRATEGY = "trading_assets.pipeline.component.TradingPipeline"
MEMBERS_FILE = "members.csv"
_MINUTES = {"1d": 1440, "1h": 60, "5m": 5, "1m": 1}
# Reasons whose meaning is known; the pool of hostile texts holds no other.
_REASONS = ("bankruptcy", "merger", "index change")
_POSITIVE = number(0, is_above=True)
_ANY: Rule = lambda _: True  # noqa: E731


def is_valid(document: Any) -> bool:
    """Return whether a document follows its model, in the profile `development`."""
    if not isinstance(document, dict) or not isinstance(document.get("attributes"), dict):
        return False
    rule = {MARKET: market, STRATEGY: strategy}.get(_text_or_none(document.get("type")))
    attributes = document["attributes"]
    if rule is None or not rule(attributes):
        return False
    profiles = attributes.get("profiles", {})
    overlay = profiles.get("development", {})
    return not overlay or rule(merged(attributes, overlay))


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _address(scheme: str, plain: str) -> Rule:
    def rule(value: Any) -> bool:
        if not isinstance(value, str) or not all("!" <= c <= "~" and c != "\\" for c in value):
            return False
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            return False
        return (
            parts.scheme in (scheme, plain)
            and bool(parts.hostname)
            and port != 0
            and "@" not in parts.netloc
            and not parts.query
            and not parts.fragment
            and (parts.scheme == scheme or parts.hostname in ("127.0.0.1", "::1", "localhost"))
        )

    return rule


def _pattern(value: Any) -> bool:
    return (
        text(1, 200)(value)
        and not value.startswith("/")
        and ".." not in value.split("/")
        and "\0" not in value
        and all("**" not in part or part == "**" for part in value.split("/"))
        and any(part not in ("", ".") for part in value.split("/"))
    )


def _separator(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value in " !#$%&*,/:;<=>?@^_`|~\t[]\\{}"


_file_columns = mapping(
    choice("symbol", "time", "open", "high", "low", "close", "volume", "vendor_adjusted_close"),
    text(),
)
_files_source = both(
    record(
        {"kind": choice("files"), "folder": text(1), "feed": name},
        {
            "pattern": _pattern,
            "columns": _file_columns,
            "symbol_from": choice("column", "file_name"),
            "time_is": choice("session", "bar_open", "bar_close"),
            "time_zone": is_zone,
            "time_format": optional(text(2, 60)),
            "separator": _separator,
            "decimal_comma": truth,
        },
    ),
    lambda given: (
        not (given.get("symbol_from") == "file_name" and "symbol" in given.get("columns", {}))
        and not (
            str(given.get("decimal_comma", "no")).lower()
            in ("1", "1.0", "on", "t", "true", "y", "yes")
            and given.get("separator", ",") == ","
        )
    ),
)
_source = kinds(
    {
        "sample": record({"kind": choice("sample")}, {}),
        "alpaca": record(
            {"kind": choice("alpaca")},
            {"feed": choice("iex", "sip"), "url": optional(_address("https", "http"))},
        ),
        "files": _files_source,
        "module": record(
            {"kind": choice("module"), "factory": choice("own.bars:build"), "feed": name},
            {"options": mapping(text(), _ANY)},
        ),
        "synthetic": record(
            {"kind": choice("synthetic")},
            {
                "seed": integer(0),
                "annual_volatility": number(0, 3, is_above=True, is_below=True),
                "gap_share": number(0, 1, is_below=True),
                "late_listing_share": number(0, 1),
                "listing_days": integer(30),
            },
        ),
    }
)


def _member_follows(given: Mapping[str, Any]) -> bool:
    first, last = as_day(given.get("first_session")), as_day(given.get("last_session"))
    reason, back = given.get("delisting_reason"), given.get("delisting_return")
    if first and last and last < first:
        return False
    if last is None and (reason is not None or back is not None):
        return False
    return reason is None or back is not None or any(known in reason for known in _REASONS)


member = both(
    record(
        {"symbol": symbol},
        {
            "first_session": optional(day),
            "last_session": optional(day),
            "delisting_reason": optional(text(1, 60)),
            "delisting_return": optional(number(-1)),
        },
    ),
    _member_follows,
)


def _universe(value: Any) -> bool:
    if isinstance(value, str):
        return value == MEMBERS_FILE
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(item, dict) for item in value):
        return all(map(member, value)) and stints_are_apart(value)
    symbols = [symbol_of(item) if isinstance(item, str) else None for item in value]
    return None not in symbols and len(set(symbols)) == len(symbols)


def _market_follows(given: Mapping[str, Any]) -> bool:
    start, end = as_day(given["start"]), as_day(given.get("end"))
    fetched = given.get("fetched_bar_length")
    length = given.get("bar_length", "1d")
    return not (
        (start and end and end < start)
        or (fetched is not None and _MINUTES[fetched] >= _MINUTES[length])
    )


market = both(
    record(
        {"source": _source, "universe": _universe, "start": covered_day},
        {
            "description": text(),
            "fallback": optional(_source),
            "series": listing(
                kinds(
                    {
                        "arch": record(
                            {"kind": choice("arch"), "data": choice("sp500", "default")},
                            {"release_lag_days": integer(0, 3660)},
                        ),
                        "news": record(
                            {"kind": choice("news"), "file": text()},
                            {
                                "half_life_hours": number(0, 8760, is_above=True),
                                "model": choice("lexicon"),
                            },
                        ),
                    }
                )
            ),
            "bar_length": choice(*_MINUTES),
            "fetched_bar_length": optional(choice(*_MINUTES)),
            "calendar": choice("XNYS", "24/7", "24/5"),
            "end": optional(covered_day),
            "publication_lag_minutes": integer(0, 366 * 1440),
            "validation": record(
                {},
                {
                    "max_quarantine_share": number(0, 1),
                    "max_missing_share": number(0, 1),
                    "max_return_sigmas": _POSITIVE,
                    "stale_bars": optional(integer(2)),
                },
            ),
            "profiles": record(
                {}, {"development": mapping(text(), _ANY), "production": mapping(text(), _ANY)}
            ),
        },
    ),
    _market_follows,
)


def _folds_follow(given: Mapping[str, Any]) -> bool:
    months = 12 if given.get("period", "year") == "year" else 3
    first, last = as_day(given["first"]), as_day(given.get("last"))
    train, checked = (
        float(given.get(k, d)) for k, d in (("train_months", 36), ("validation_months", 6))
    )
    return (
        train % months == 0
        and checked < train
        and all(d is None or (d.day == 1 and d.month % months == 1 % months) for d in (first, last))
        and not (first and last and last < first)
    )


def _prop_firm_follows(given: Mapping[str, Any]) -> bool:
    least, most = float(given.get("minimum_days", 0)), float(given.get("days_allowed", 60))
    return float(given["max_daily_loss"]) <= float(given["max_total_loss"]) and least <= most


_share = number(0, 1, is_above=True, is_below=True)
_prop_firm = both(
    record(
        {
            "max_daily_loss": _share,
            "max_total_loss": _share,
            "profit_target": number(0, 10, is_above=True),
        },
        {
            "total_loss": choice("static", "trailing"),
            "minimum_days": integer(0),
            "days_allowed": integer(1, 1_000),
        },
    ),
    _prop_firm_follows,
)

strategy = record(
    {
        "market_data": name,
        "policy": record(
            {
                "agents": mapping(
                    name,
                    record(
                        {},
                        {
                            "algorithm": choice("ppo"),
                            "seeds": integer(1, 32),
                            "total_steps": integer(1_000),
                            "learning_rate": _POSITIVE,
                            "discount": number(0, 1, is_above=True, is_below=True),
                            "log_std_init": number(),
                        },
                    ),
                    1,
                )
            },
            {
                "fallback": choice("equal_weight", "cash"),
                "position": choice("long_only", "long_short"),
                "observed_features": listing(text()),
                "risk_aversion": number(0),
                "uses_forecasts": truth,
            },
        ),
        "folds": both(
            record(
                {"first": covered_day},
                {
                    "period": choice("year", "quarter"),
                    "window": choice("rolling", "anchored"),
                    "last": optional(covered_day),
                    "train_months": integer(6),
                    "validation_months": integer(1),
                },
            ),
            _folds_follow,
        ),
    },
    {
        "description": text(),
        "costs": record(
            {}, {"fee_bps": number(0), "half_spread_bps": number(0), "tick_usd": number(0)}
        ),
        "features": record(
            {}, {"names": lambda v: v == "all" or listing(text())(v), "scale_bars": integer(20)}
        ),
        "forecast": record(
            {}, {"horizon_bars": integer(1, 63), "epochs": integer(1), "seed": integer(0)}
        ),
        "backtest": record(
            {},
            {
                "initial_equity_usd": _POSITIVE,
                "bootstrap_samples": integer(100),
                "confidence": number(0.5, 1, is_above=True, is_below=True),
                "stress_paths": integer(0, 500),
                "prop_firm": optional(_prop_firm),
            },
        ),
        "risk": record({}, {"max_weight": _POSITIVE, "max_data_age_sessions": integer(1)}),
        "paper": record({}, {"gateway": choice("simulated", "alpaca")}),
        "governance": record({}, {"retrain": choice("nightly", "on_drift")}),
        "is_oracle_world": truth,
        "schedules": choice("running", "stopped"),
        "profiles": record(
            {}, {"development": mapping(text(), _ANY), "production": mapping(text(), _ANY)}
        ),
    },
)
