"""Reads the YAML of a declaration: plain values, each key once, of a size that a person writes."""

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.nodes import CollectionNode, MappingNode, Node

from trading_assets.errors import DeclarationError, shown

_LONGEST_TEXT = 1_000_000
_DEEPEST = 30
_MOST_NODES = 20_000
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(text: str, place: str) -> Any:  # noqa: ANN401 # whatever YAML holds
    """Return the values of one YAML document.

    Parameters
    ----------
    text : str
        The document.
    place : str
        Where it stands: a file, whose lines are named, or an option.

    Raises
    ------
    DeclarationError
        If it is no YAML, names a key twice, has a tag such as `!!python/object`, holds itself, or
        is larger or deeper than any declaration.
    """
    if len(text) > _LONGEST_TEXT:
        msg = f"{place}: has {len(text)} characters; expected {_LONGEST_TEXT} or fewer"
        raise DeclarationError(msg)
    try:
        loader = _PlainLoader(text)
        return loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", "not readable")
        msg = f"{place}{line}: not YAML: {problem}"
        raise DeclarationError(msg) from error


class _PlainLoader(yaml.SafeLoader):
    """Refuses what plain YAML leaves open: repeated keys, tags, and structures without end."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        # Nodes in each node that is read to its end, those behind aliases counted every time.
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:  # noqa: ANN401
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            problem = f"tag {shown(event.tag)} is not allowed; expected the plain value"
            raise ComposerError(None, None, problem, event.start_mark)
        if self._depth == _DEEPEST:
            problem = f"values lie more than {_DEEPEST} levels deep; expected fewer"
            raise ComposerError(None, None, problem, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and not isinstance(event, yaml.AliasEvent):
            self._count(node, event)
        elif node is not None and id(node) not in self._sizes:
            problem = "an alias stands within what it means; expected an end"
            raise ComposerError(None, None, problem, event.start_mark)
        return node

    def _count(self, node: Node, event: yaml.Event) -> None:
        size = 1
        if isinstance(node, CollectionNode):
            parts = [part if isinstance(part, tuple) else (part,) for part in node.value]
            size += sum(self._sizes[id(each)] for part in parts for each in part)
        if size > _MOST_NODES:
            problem = f"more than {_MOST_NODES} values, aliases written out; expected fewer"
            raise ComposerError(None, None, problem, event.start_mark)
        self._sizes[id(node)] = size

    def construct_object(self, node: Node, deep: bool = False) -> Any:  # noqa: ANN401
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                str(value)  # refuses, as Python does, more digits than anyone writes
            elif isinstance(value, str):
                value.encode()  # refuses halves of characters, which an escape may write
        except ValueError as error:
            problem = f"{shown(node.value)} cannot be read ({error})"
            raise ConstructorError(None, None, problem, node.start_mark) from error
        return value

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        known: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"key {shown(key)} is no text; expected a name, in quotes if need be"
                raise ConstructorError(None, None, problem, key_node.start_mark)
            if key in known:
                problem = f"key {shown(key)} is there twice; expected it once"
                raise ConstructorError(None, None, problem, key_node.start_mark)
            known.add(key)
        return super().construct_mapping(node, deep)
