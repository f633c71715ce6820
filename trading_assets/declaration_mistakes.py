"""Says what is wrong with a declaration: by file, line and field, with what was expected."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from trading_assets.errors import shown

_MOST_SENTENCES = 10
_LONGEST_PART = 60
_LONGEST_PROBLEM = 400


def sentences_of(error: ValidationError, model: type[BaseModel], path: Path, prefix: str) -> str:
    """Return what is wrong with the attributes of a declaration, a line each.

    Parameters
    ----------
    error : ValidationError
        What the model said.
    model : type
        The model.
    path : Path
        The `defs.yaml`, whose lines are named.
    prefix : str
        Said before each field, such as the profile; may be empty.
    """
    problems = error.errors(include_url=False)
    places = {_as_written(problem["loc"]) for problem in problems}
    # A wrong item also makes its container too short: only the item is worth a sentence.
    kept = [p for p in problems if not any(_is_inside(at, _as_written(p["loc"])) for at in places)]
    sentences = [
        f"{path}:{_sentence(each, model, path, prefix)}" for each in kept[:_MOST_SENTENCES]
    ]
    if len(kept) > _MOST_SENTENCES:
        sentences.append(
            f"{path}: {len(kept) - _MOST_SENTENCES} more mistakes; correct these first"
        )
    return "\n".join(sentences)


def _sentence(problem: ErrorDetails, model: type[BaseModel], path: Path, prefix: str) -> str:
    location = [str(part) for part in problem["loc"]]
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        text = f"unknown field; {expected_names(location[-1], _fields_at(model, location[:-1]))}"
    elif problem["type"] != "value_error":
        text = f"was {shown(problem['input'])}; {text[0].lower()}{text[1:]}"
    if problem["type"] == "union_tag_invalid":
        location.append(str(problem.get("ctx", {}).get("discriminator", "")).strip("'"))
    written = _without_tags([str(part) for part in _as_written(tuple(location))])
    location = [part[:_LONGEST_PART] for part in written]
    line = line_of(path, ("attributes", *location))
    if len(text) > _LONGEST_PROBLEM:
        text = f"{text[: _LONGEST_PROBLEM // 2]} ... {text[-_LONGEST_PROBLEM // 2 :]}"
    return f"{line}: {prefix}{'.'.join(location) or 'attributes'}: {text}"


def _as_written(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    # Members are taken out of a universe that lists them.
    return ("universe", *place[1:]) if place[:1] == ("members",) else place


def _is_inside(place: tuple[int | str, ...], container: tuple[int | str, ...]) -> bool:
    return len(place) > len(container) and place[: len(container)] == container


def _fields_at(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """Return the field names of the model at a place in mappings, lists and tagged unions."""
    annotation: Any = model
    for part in location:
        annotation = _inside(annotation, part)
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return list(annotation.model_fields) if is_model else []


def _inside(annotation: Any, part: str) -> Any:  # noqa: ANN401  annotations have no type
    """Return what is declared at a part of a place, such as a field or a member of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        declared = annotation.model_fields.get(part)
        return None if declared is None else declared.annotation
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    if get_origin(annotation) is tuple and part.isdigit():
        return get_args(annotation)[0]
    members = get_args(annotation)
    if get_origin(annotation) is Annotated:
        members = get_args(members[0])
    found = next((member for member in members if _tag_of(member) == part), None)
    return get_args(found)[0] if get_origin(found) is Annotated else found


def _tag_of(member: Any) -> str | None:  # noqa: ANN401  annotations have no type
    if get_origin(member) is Annotated:
        return next((tag.tag for tag in get_args(member) if isinstance(tag, Tag)), None)
    fields: Mapping[str, FieldInfo] = getattr(member, "model_fields", {})
    return next(iter(get_args(fields["kind"].annotation)), None) if "kind" in fields else None


def _without_tags(location: list[str]) -> list[str]:
    # Agents are told apart by algorithm and networks by form: neither is a place in the file.
    if location[:2] == ["forecast", "network"]:
        return [*location[:2], *location[3:]]
    if location[:2] == ["policy", "agents"] and len(location) > 3:
        return [*location[:3], *location[4:]]
    return location


def expected_names(name: str, names: Iterable[str]) -> str:
    """Return what to say of a name that is none of `names`: the one that was meant, or all."""
    choices = sorted(names)
    close = get_close_matches(name[:_LONGEST_PART], choices, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"expected one of {', '.join(choices)}" if choices else "none is declared"


def line_of(path: Path, location: Sequence[str]) -> int:
    """Return the line of the deepest part of `location` that the file has, counted from 1."""
    node = yaml.compose(path.read_text(encoding="utf-8"))
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
            if found is None:
                continue
            line = found[0].start_mark.line + 1
            node = found[1]
        elif isinstance(node, yaml.SequenceNode) and part.isdigit():
            if int(part) >= len(node.value):
                return line  # the item that is missed
            node = node.value[int(part)]
            line = node.start_mark.line + 1
    return line
