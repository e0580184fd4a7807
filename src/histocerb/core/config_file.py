"""Configuration files: TOML into frozen dataclasses, with errors that name the nearest valid key."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from histocerb.core.errors import UsageError

STRICT = ConfigDict(extra="forbid")
"""For pydantic dataclasses that are read from files: unknown keys are errors."""

T = TypeVar("T")


def read_config(path: Path, model: type[T]) -> T:
    """The configuration in a TOML file.

    Args:
        path: the file.
        model: a pydantic dataclass with `config=STRICT`; nested ones are tables.

    Raises:
        UsageError: no such file, not TOML, an unknown key, or a value of the wrong kind.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} is not valid TOML: {error}") from error
    try:
        return TypeAdapter(model).validate_python(document)
    except ValidationError as error:
        raise UsageError(f"{path}: {_explain(error, model)}") from error


def _explain(error: ValidationError, model: type[Any]) -> str:
    first = error.errors()[0]
    place = [part for part in first["loc"] if isinstance(part, str)]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        valid = _keys(model, place[:-1])
        near = difflib.get_close_matches(place[-1], valid, n=1, cutoff=0.0)
        return f"unknown key {name!r}; did you mean {near[0]!r}?" if near else f"unknown key {name!r}"
    return f"{name}: {first['msg'].lower()} (found {first['input']!r})"


def _keys(model: type[Any], place: list[str]) -> list[str]:
    """Names that are valid in the table at `place` below `model`."""
    for part in place:
        hint = get_type_hints(model).get(part)
        options = [hint, *get_args(hint)]
        model = next((option for option in options if is_dataclass(option)), model)  # type: ignore[assignment]
    return [field.name for field in fields(model)]
