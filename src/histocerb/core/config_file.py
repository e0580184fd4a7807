"""Configuration files: TOML into frozen dataclasses, with errors that name the nearest valid key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from histocerb.core.errors import UsageError

STRICT = ConfigDict(extra="forbid")
"""For pydantic dataclasses that are read from files: unknown keys are errors."""

T = TypeVar("T")


def read_config(path: Path, model: type[T]) -> T:
    """The configuration in a TOML file, with those that it extends.

    Args:
        path: the file; see `read_document`.
        model: a pydantic dataclass with `config=STRICT`; nested ones are tables.

    Raises:
        UsageError: no such file, not TOML, an unknown key, or a value of the wrong kind.
    """
    return validated(read_document(path), model, str(path))


def read_document(path: Path) -> dict[str, Any]:
    """The table in a TOML file.

    Where it says `extends = "other.toml"` (relative to the file), it is laid over the table of that file as
    `merged` does.

    Raises:
        UsageError: a file that cannot be read, is not TOML, or extends itself.
    """
    return _extended(path, ())


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change` laid over it: tables key by key; all else, lists too, is replaced."""
    result = dict(base)
    for key, value in change.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merged(below, value)
        result[key] = value
    return result


def validated(document: Mapping[str, Any], model: type[T], where: str) -> T:
    """The configuration in a table; `where` is what error messages call it.

    Raises:
        UsageError: an unknown key, or a value of the wrong kind.
    """
    try:
        return TypeAdapter(model).validate_python(document)
    except ValidationError as error:
        raise UsageError(f"{where}: {_explain(error, model)}") from error


def _extended(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise UsageError(f"the configuration {path} extends itself; remove one `extends`")
    document = _parsed(path)
    base = document.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise UsageError(f"{path}: expected the name of a file in `extends`, found {base!r}; change it")
    return merged(_extended(path.parent / base, (*above, path.resolve())), document)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} is not valid TOML: {error}") from error


_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
"""What pydantic calls a key that is not there."""


def _explain(error: ValidationError, model: type[Any]) -> str:
    """The first problem; an unknown key before all others, as it may be why another key is missing."""
    errors = error.errors()
    first = next((problem for problem in errors if problem["type"] in _UNKNOWN), errors[0])
    place = [part for part in first["loc"] if isinstance(part, str)]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] in _UNKNOWN:
        valid = _keys(model, place[:-1])
        near = difflib.get_close_matches(place[-1], valid, n=1, cutoff=0.0)
        return f"unknown key {name!r}; did you mean {near[0]!r}?" if near else f"unknown key {name!r}"
    if first["type"] in ("missing", "missing_argument"):
        return f"the key {name!r} is missing; add it"
    return f"{name}: {first['msg'].lower()} (found {first['input']!r})"


def _keys(model: type[Any], place: list[str]) -> list[str]:
    """Names that are valid in the table at `place` below `model`."""
    for part in place:
        hint = get_type_hints(model).get(part)
        options = [hint, *get_args(hint)]
        model = next((option for option in options if is_dataclass(option)), model)  # type: ignore[assignment]
    return [field.name for field in fields(model)]
