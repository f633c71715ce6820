"""Declarations as YAML, `--set` pairs and folder names: what follows the models, or one sentence."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

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
from trading_assets_tests.fuzz.config_trees import (
    BASE_MARKET,
    EVERY_TEMPLATE,
    FOLDER_NAMES,
    TEMPLATES,
    Change,
    Given,
    assigned,
    changed,
    trees,
)
from trading_assets_tests.fuzz.declared_rules import MEMBERS_FILE, is_valid
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.lake_keys import TAKEN
from trading_assets_tests.fuzz.rules import merged, name
from trading_assets_tests.fuzz.yaml_text import UNREADABLE, Raw, meaning, written

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_AXES = (Axis.MONTH, Axis.FOLD, Axis.SESSION)


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
        market = MarketDataSpec.model_validate(BASE_MARKET)
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


TARGETS = (
    Target(
        "yaml",
        st.one_of(*map(trees, EVERY_TEMPLATE)),
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
            Given(0, (), (Change(10, "replace", Raw("!!str x", UNREADABLE), "x"),)),
            Given(0, (), (Change(10, "replace", Raw("!!bool maybe", UNREADABLE), "x"),)),
            Given(0, (), (Change(10, "replace", Raw("&x [*x]", UNREADABLE), "x"),)),
            Given(0, (("description", "A" * 10_000), ("source.kind", "A" * 10_000))),
            Given(0, (("universe", "A" * 10_000),)),
            Given(1, (("source.time_zone", "localtime"),)),
            Given(1, (("fallback.url", "https://a\nb.example"),)),
            Given(0, (), (Change(0, "add", 1, "A" * 1_022),)),
            Given(0, (), (Change(0, "add", 1, "A" * 1_023),)),
            Given(4, (("folds.first", date(1, 1, 1)),)),
            Given(4, (("folds.last", date(2037, 1, 1)),)),
        ),
    ),
    Target(
        "assignments",
        st.one_of(*map(assigned, EVERY_TEMPLATE)),
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
        FOLDER_NAMES,
        _open_folders,
        quick=40,
        full=1_500,
        pinned=("catalog", "pg_catalog", "Mine", "a b"),
    ),
)
