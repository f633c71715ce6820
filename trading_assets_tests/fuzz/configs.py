"""Declarations as YAML, `--set` pairs and folder names: what follows the models, or one sentence."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from trading_assets.declarations import (
    load_declarations,
    parse_assignments,
    read_declaration,
    write_variant,
)
from trading_assets.graph import market_data_graph, strategy_graph
from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis
from trading_assets.strategy import Strategy
from trading_assets_tests.fuzz.declared_rules import MARKET, MEMBERS_FILE, STRATEGY, is_valid
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.lake_keys import TAKEN
from trading_assets_tests.fuzz.material import HOSTILE_INTEGERS, floats, mixed, names, texts
from trading_assets_tests.fuzz.rules import merged, name
from trading_assets_tests.fuzz.yaml_text import TRAPS, UNREADABLE, Pairs, Raw, meaning, written

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_AXES = (Axis.MONTH, Axis.FOLD, Axis.SESSION)

_BASE_MARKET: dict[str, Any] = {
    "source": {"kind": "sample"},
    "universe": ["IBM", "MSFT", "BRK.B"],
    "start": date(2005, 1, 3),
}
TEMPLATES: tuple[dict[str, Any], ...] = (
    {"type": MARKET, "attributes": {**_BASE_MARKET, "end": date(2008, 3, 31), "description": "x"}},
    {
        "type": MARKET,
        "attributes": {
            **_BASE_MARKET,
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
            **_BASE_MARKET,
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
            **_BASE_MARKET,
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
            "backtest": {"confidence": 0.9, "initial_equity_usd": 1e5},
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


def _double(holder: Any, key: Any, change: Change) -> None:
    if isinstance(holder[key], dict) and holder[key]:
        first = next(iter(holder[key]))
        holder[key] = Pairs((*holder[key].items(), (first, change.value)))
    elif isinstance(holder, list):
        holder.insert(key, deepcopy(holder[key]))


_ACTS: Mapping[str, Callable[[Any, Any, Change], None]] = {
    "replace": _replace,
    "remove": _remove,
    "add": _add,
    "double": _double,
}


@contextmanager
def _open_texts(folder: Path) -> Generator[Check]:
    path = _declaration(folder, "mine")

    def check(given: Given, counts: Counts) -> None:
        base = TEMPLATES[given.template]
        overlay = _overlay(given.pairs)
        assert overlay is not None
        apt = {**base, "attributes": merged(base["attributes"], overlay)}
        tree = changed(apt, given.changes)
        text = _document(tree)
        path.write_text(text, encoding="utf-8")
        value = meaning(tree)
        expected = value is not UNREADABLE and is_valid(value)
        read: list[MarketDataSpec | Strategy] = []
        refused = refusal_of(
            lambda: read.append(read_declaration(path, "development")), shows=str(path.parent)
        )
        counts.add(accepted=expected)
        assert (refused is None) == expected, f"{refused}: {text[:600]}"
        for declared in read:
            _require_usable(declared)

    yield check


def _document(tree: Any) -> str:
    if not isinstance(tree, dict):
        return written(tree)
    return "".join(f"{written(key)}: {written(value)}\n" for key, value in tree.items()) or "{}"


def _require_usable(declared: MarketDataSpec | Strategy) -> None:
    """What was accepted has a graph whose partitions can be counted."""
    assert type(declared).model_validate(
        declared.model_dump(exclude={"members"} if isinstance(declared, MarketDataSpec) else set()),
    )
    assert declared.model_dump_json()
    if isinstance(declared, MarketDataSpec):
        graph = market_data_graph("mine", declared)
        assert all(name_of.isascii() for name_of in declared.universe)
        assert list(declared.universe) == sorted(set(declared.universe))
    else:
        market = MarketDataSpec.model_validate(_BASE_MARKET)
        graph = strategy_graph("mine", declared, market)
    for axis in _AXES:
        # A test window before the data begins, or after its end, has no partition.
        refusal_of(lambda axis=axis: graph.periods.keys(axis, NOW))


@contextmanager
def _open_assignments(folder: Path) -> Generator[Check]:
    bases = [_declaration(folder, f"base_{number}") for number in range(len(TEMPLATES))]
    for path, template in zip(bases, TEMPLATES, strict=True):
        path.write_text(_document(template), encoding="utf-8")
    written_to = folder / "variants" / "mine"

    def check(given: Given, counts: Counts) -> None:
        base, pairs = TEMPLATES[given.template], given.pairs
        overlay = _overlay(pairs)
        expected = (
            overlay is not None
            and is_valid({**base, "attributes": merged(base["attributes"], overlay)})
            and is_valid_alone({**base, "attributes": merged(base["attributes"], overlay)})
        )
        arguments = [
            f"{path}={written(value)}" if path != "=" else written(value) for path, value in pairs
        ]
        target = written_to / "defs.yaml"
        target.unlink(missing_ok=True)
        refused = refusal_of(
            lambda: write_variant(bases[given.template], parse_assignments(arguments), target)
        )
        counts.add(accepted=expected)
        assert (refused is None) == expected, f"{refused}: {[a[:200] for a in arguments]}"
        if refused is None:
            read_declaration(target, "development")
            assert [path.name for path in written_to.iterdir()] == ["defs.yaml"]
            target.unlink()
        assert not target.exists()

    yield check


def is_valid_alone(document: Any) -> bool:
    """Whether a document is valid by itself, before a profile's values are laid over it."""
    attributes = {**document["attributes"]}
    attributes.pop("profiles", None)
    return is_valid({**document, "attributes": attributes})


def _overlay(pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any] | None:
    """Return what assignments mean, None if one of them means nothing."""
    overlay: dict[str, Any] = {}
    for path, value in pairs:
        # What is written before a further `=` is the field, wherever it came from.
        field, _, rest = f"{path}=".partition("=")
        keys = field.strip().split(".")
        if not all(keys) or len(keys) > 8 or rest not in ("", "="):
            return None
        found = meaning(value)
        if found is UNREADABLE:
            return None
        for key in reversed(keys):
            found = {key: found}
        overlay = merged(overlay, found)
    return overlay


@contextmanager
def _open_folders(folder: Path) -> Generator[Check]:
    def check(given: str, counts: Counts) -> None:
        expected = name(given) and given not in TAKEN
        path = folder / given / "defs.yaml"
        path.parent.mkdir()
        try:
            path.write_text(_document(TEMPLATES[0]), encoding="utf-8")
            refused = refusal_of(
                lambda: load_declarations([folder], "development"), shows="expected"
            )
            assert (refused is None) == expected, given
        finally:
            path.unlink()
            path.parent.rmdir()
        counts.add(accepted=expected)

    yield check


def _declaration(folder: Path, of: str) -> Path:
    path = folder / of / "defs.yaml"
    path.parent.mkdir()
    (path.parent / MEMBERS_FILE).write_text("symbol\nA\nB\n", encoding="utf-8")
    return path


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


def _trees(template: int) -> st.SearchStrategy[Given]:
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


def _assigned(template: int) -> st.SearchStrategy[Given]:
    apt = st.lists(_apt_pairs(template), min_size=1, max_size=2)
    wild = st.lists(_wild_pairs, min_size=1, max_size=1)
    mixed_pairs = st.tuples(apt, wild).map(lambda lists: [*lists[0], *lists[1]])
    drawn = st.one_of(apt, apt, mixed_pairs, wild)
    return st.builds(Given, st.just(template), drawn.map(tuple), st.just(()))


_every_template = range(len(TEMPLATES))
_folder_names = st.one_of(
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

TARGETS = (
    Target(
        "yaml",
        st.one_of(*map(_trees, _every_template)),
        _open_texts,
        quick=80,
        full=5_000,
        pinned=(
            Given(0, (("universe", [{"symbol": ["a"]}]),)),
            Given(
                0,
                (
                    (
                        "universe",
                        [
                            {"symbol": "BR\N{KELVIN SIGN}", "last_session": "2001-01-02"},
                            {"symbol": "BRK", "first_session": "2005-01-03"},
                        ],
                    ),
                ),
            ),
            Given(0, (), (Change(0, "replace", [], "x"),)),
            Given(0, (), (Change(1, "double", 1, "x"),)),
            Given(4, (("costs.fee_bps", Raw("on", True)),)),
            Given(4, (("costs.fee_bps", float("inf")),)),
            Given(4, (("backtest.initial_equity_usd", float("nan")),)),
            Given(0, (("start", Raw("20050103", 20_050_103)),)),
            Given(0, (("start", Raw("'1136073600'", "1136073600")),)),
            Given(0, (), (Change(8, "replace", Raw("2005-13-45", UNREADABLE), "x"),)),
            Given(2, (("validation.stale_bars", 1e16),)),
            Given(0, (("publication_lag_minutes", 2**53),)),
            Given(0, (), (Change(10, "replace", "\ud800", "x"),)),
            Given(0, (("description", "A" * 10_000), ("source.kind", "A" * 10_000))),
            Given(0, (("universe", "A" * 10_000),)),
            Given(1, (("source.time_zone", "localtime"),)),
            Given(1, (("fallback.url", "https://a\nb.example"),)),
        ),
    ),
    Target(
        "assignments",
        st.one_of(*map(_assigned, _every_template)),
        _open_assignments,
        quick=60,
        full=4_000,
        pinned=(
            Given(0, (("description", Raw("[", UNREADABLE)),)),
            Given(0, (("start", Raw("2005-13-45", UNREADABLE)),)),
            Given(0, (("profiles.development.description", 1),)),
            Given(0, ((".".join("a" * 9), 1),)),
            Given(4, (("policy.agents.ppo.seeds", Raw("!!bool maybe", UNREADABLE)),)),
        ),
    ),
    Target(
        "folder_names",
        _folder_names,
        _open_folders,
        quick=40,
        full=1_500,
        pinned=("catalog", "pg_catalog", "Mine", "a b"),
    ),
)
