"""Trees of declarations: good ones, what suits them, and changes that may break them."""

from collections.abc import Callable, Generator, Mapping
from copy import deepcopy
from datetime import date
from typing import Any, NamedTuple

from hypothesis import strategies as st

from trading_assets_tests.fuzz.declared_rules import MARKET, MEMBERS_FILE, STRATEGY
from trading_assets_tests.fuzz.lake_keys import TAKEN
from trading_assets_tests.fuzz.material import HOSTILE_INTEGERS, floats, mixed, names, texts
from trading_assets_tests.fuzz.yaml_text import TRAPS, Pairs

BASE_MARKET: dict[str, Any] = {
    "source": {"kind": "sample"},
    "universe": ["IBM", "MSFT", "BRK.B"],
    "start": date(2005, 1, 3),
}
TEMPLATES: tuple[dict[str, Any], ...] = (
    {"type": MARKET, "attributes": {**BASE_MARKET, "end": date(2008, 3, 31), "description": "x"}},
    {
        "type": MARKET,
        "attributes": {
            **BASE_MARKET,
            "source": {"kind": "files", "folder": "dump", "feed": "vendor", "pattern": "*.csv",
                       "columns": {"symbol": "Ticker"}, "time_is": "bar_open", "decimal_comma": True,
                       "separator": ";", "time_zone": "America/New_York", "time_format": "%Y"},
            "fallback": {"kind": "alpaca", "feed": "sip", "url": "https://data.example.org/x"},
            "bar_length": "1h",
            "fetched_bar_length": "1m",
            "calendar": "24/7",
            "publication_lag_minutes": 15,
        },
    },
    {
        "type": MARKET,
        "attributes": {
            **BASE_MARKET,
            "source": {"kind": "synthetic", "seed": 3, "annual_volatility": 0.2, "listing_days": 90},
            "universe": [
                {"symbol": "A", "first_session": date(2001, 1, 2), "last_session": "2004-05-06",
                 "delisting_reason": "bankruptcy", "delisting_return": -0.5},
                {"symbol": "A", "first_session": date(2006, 1, 3)},
                {"symbol": "BTC/USD"},
            ],
            "validation": {"max_missing_share": 0.5, "max_return_sigmas": 9.5, "stale_bars": 4},
            "series": [{"kind": "arch", "data": "sp500", "release_lag_days": 2},
                       {"kind": "news", "file": "n.csv", "half_life_hours": 12.0}],
            "profiles": {"development": {"validation": {"max_quarantine_share": 0.1}}},
        },
    },
    {
        "type": MARKET,
        "attributes": {
            **BASE_MARKET,
            "universe": MEMBERS_FILE,
            "source": {"kind": "module", "factory": "own.bars:build", "feed": "mine",
                       "options": {"a": [1, {"b": None}]}},
        },
    },
    {
        "type": STRATEGY,
        "attributes": {
            "market_data": "us_daily",
            "costs": {"fee_bps": 1.0, "half_spread_bps": 2},
            "features": {"names": ["log_return_5"], "scale_bars": 60},
            "forecast": {"horizon_bars": 5, "seed": 1},
            "policy": {"agents": {"ppo": {"seeds": 2, "discount": 0.9, "log_std_init": -0.7}},
                       "observed_features": ["a"], "uses_forecasts": True},
            "folds": {"first": date(2009, 1, 1), "last": date(2012, 1, 1), "train_months": 36},
            "backtest": {
                "confidence": 0.9,
                "initial_equity_usd": 1e5,
                "stress_paths": 3,
                "prop_firm": {"max_daily_loss": 0.05, "max_total_loss": 0.1, "profit_target": 0.1,
                              "minimum_days": 4, "days_allowed": 30, "total_loss": "trailing"},
            },
            "risk": {"max_weight": 0.3},
            "is_oracle_world": False,
            "schedules": "stopped",
            "profiles": {"development": {"costs": {"fee_bps": 3}}, "production": {"x": 1}},
        },
    },
)  # fmt: skip


class Change(NamedTuple):
    """What is done at a place of a tree, counted round over all places."""

    place: int
    act: str
    value: Any
    key: str


class Given(NamedTuple):
    """A template, fields laid over it that suit it, and changes to what that gives."""

    template: int
    pairs: tuple[tuple[str, Any], ...]
    changes: tuple[Change, ...] = ()


def changed(tree: Any, changes: tuple[Change, ...]) -> Any:
    """Return a copy of a tree after some changes."""
    root = {"": deepcopy(tree)}
    for change in changes:
        places = list(_places(root))
        if not places:
            break
        holder, key = places[change.place % len(places)]
        _ACTS[change.act](holder, key, change)
    return root[""]


def _places(node: Any) -> Generator[tuple[Any, Any]]:
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(pairs):
        if key != "":
            yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _replace(holder: Any, key: Any, change: Change) -> None:
    holder[key] = change.value


def _remove(holder: Any, key: Any, _: Change) -> None:
    del holder[key]


def _add(holder: Any, key: Any, change: Change) -> None:
    if isinstance(holder, list):
        holder.insert(key, change.value)
    else:
        holder[change.key] = change.value


def _double(holder: Any, key: Any, _: Change) -> None:
    if isinstance(holder[key], dict) and holder[key]:
        first = next(iter(holder[key]))
        holder[key] = Pairs((*holder[key].items(), (first, holder[key][first])))
    elif isinstance(holder, list):
        holder.insert(key, deepcopy(holder[key]))


_ACTS: Mapping[str, Callable[[Any, Any, Change], None]] = {
    "replace": _replace,
    "remove": _remove,
    "add": _add,
    "double": _double,
}


_MARKET_PAIRS = (
    ("description", "a"), ("start", date(2006, 1, 3)), ("start", "1990-01-01"), ("end", date(2035, 12, 31)),
    ("validation.stale_bars", 7), ("validation.max_missing_share", 1), ("validation.stale_bars", None),
    ("publication_lag_minutes", 5), ("publication_lag_minutes", "10"), ("universe", ["A", "B.C"]),
    ("universe", [{"symbol": "BTC/USD"}]), ("universe", "members.csv"), ("calendar", "24/7"),
    ("profiles.development.description", "b"), ("source", {"kind": "sample"}), ("fallback", None),
    ("validation.max_return_sigmas", 1.0e300), ("description", "\N{GRINNING FACE}\0'"),
)  # fmt: skip
_STRATEGY_PAIRS = (
    ("costs.fee_bps", 2), ("folds.train_months", 24), ("policy.agents.ppo.seeds", 5), ("schedules", "running"),
    ("policy.agents.new", {}), ("risk.max_weight", "0.5"), ("policy.agents.ppo.learning_rate", "1e-3"),
    ("forecast.seed", 0), ("folds.period", "quarter"), ("description", "NO"), ("is_oracle_world", "off"),
    ("features.names", "all"), ("costs.tick_usd", 5e-324), ("forecast.seed", 2**53), ("market_data", "x_1"),
)  # fmt: skip


def _apt_pairs(template: int) -> st.SearchStrategy[tuple[str, Any]]:
    is_market = TEMPLATES[template]["type"] == MARKET
    return st.sampled_from(_MARKET_PAIRS if is_market else _STRATEGY_PAIRS)


_days = st.one_of(
    st.sampled_from((date(1989, 12, 31), date(1990, 1, 1), date(2035, 12, 31), date(2036, 1, 1),
                     date.min, date.max, date(2008, 2, 29))),
    st.dates(),
)  # fmt: skip
_leaves = st.one_of(
    st.sampled_from(TRAPS),
    names(),
    texts(),
    floats(),
    st.sampled_from(HOSTILE_INTEGERS),
    st.integers(-3, 5_000),
    _days,
    st.booleans(),
    st.none(),
)
_values = st.one_of(
    _leaves,
    _leaves,
    st.lists(_leaves, max_size=3),
    st.dictionaries(
        st.one_of(st.sampled_from(("kind", "symbol", "a")), texts()), _leaves, max_size=3
    ),
)
# Values that are right at some place.
_apt = st.sampled_from(
    (1, 2, 5, 0.5, 12, 36, 0, "1d", "1m", "sample", "files", "vendor", "IBM", "BTC/USD", "XNYS", "24/5",
     date(2010, 1, 1), "2010-01-01", True, False, None, "a", "5", "merger", ["A", "B"], {}, [], "x.csv")
)  # fmt: skip
_keys = st.one_of(
    st.sampled_from(("end", "kind", "description", "stale_bars", "seed", "x")), texts()
)
_change = st.builds(
    Change,
    st.integers(0, 80),
    st.sampled_from(("replace", "replace", "replace", "replace", "remove", "add", "double")),
    st.one_of(_values, _apt, _apt),
    _keys,
)


def trees(template: int) -> st.SearchStrategy[Given]:
    apt = st.lists(_apt_pairs(template), max_size=3).map(tuple)
    changes = st.one_of(st.just([]), st.lists(_change, max_size=3)).map(tuple)
    return st.builds(Given, st.just(template), apt, changes)


_paths = st.one_of(
    st.sampled_from(
        ("costs.fee_bps", "folds.train_months", "policy.agents.ppo.seeds", "start", "universe",
         "source.seed", "description", "validation.stale_bars", "risk.max_weight", "folds.first",
         "publication_lag_minutes", "profiles.development.description", "universe.x", " start ")
    ),
    st.sampled_from(("", ".", "a..b", "start.", "x" * 10_000, ".".join("a" * 9), "..", "=")),
    texts(surrogates=False).filter(lambda text: "=" not in text),
)  # fmt: skip
_wild_pairs = st.tuples(_paths, _values)


def assigned(template: int) -> st.SearchStrategy[Given]:
    apt = st.lists(_apt_pairs(template), min_size=1, max_size=2)
    wild = st.lists(_wild_pairs, min_size=1, max_size=1)
    mixed_pairs = st.tuples(apt, wild).map(lambda lists: [*lists[0], *lists[1]])
    drawn = st.one_of(apt, apt, mixed_pairs, wild)
    return st.builds(Given, st.just(template), drawn.map(tuple), st.just(()))


EVERY_TEMPLATE = range(len(TEMPLATES))
FOLDER_NAMES = st.one_of(
    st.sampled_from(("mine", "us_daily", "a", "w1", "x" * 40, "con", "nul", "select", *TAKEN)),
    st.builds(str.__add__, st.sampled_from("abz"), st.text("abcxyz0189_", max_size=20)),
    st.builds(str.__add__, st.sampled_from("abz1_"), st.text("abcxyz0189_", max_size=44)),
    mixed(("mine", "us_daily", "a", "w1", "x" * 40), surrogates=False),
    names(surrogates=False),
).filter(
    lambda text: (
        text not in ("", ".", "..") and not set("/\0") & set(text) and len(text.encode()) < 200
    )
)
