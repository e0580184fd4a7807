from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass

from histocerb.core.config_file import STRICT, merged, read_config, read_document
from histocerb.core.errors import UsageError


@dataclass(frozen=True, config=STRICT)
class Inner:
    width: int = 1
    depth: int = 1


@dataclass(frozen=True, config=STRICT)
class Outer:
    name: str
    inner: Inner = Inner()
    sizes: tuple[int, ...] = ()


def _write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    return folder / f"{next(iter(texts))}.toml"


def test_a_file_is_laid_over_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    _write(tmp_path, base='name = "base"\nsizes = [1, 2]\ninner = { width = 2, depth = 3 }')
    _write(tmp_path / "deep", middle='extends = "../base.toml"\nsizes = [9]')
    path = _write(tmp_path, top='extends = "deep/middle.toml"\nname = "top"\n[inner]\nwidth = 7')
    assert read_config(path, Outer) == Outer("top", Inner(7, 3), (9,))


def test_unknown_keys_of_either_file_are_errors(tmp_path: Path) -> None:
    path = _write(tmp_path, top='extends = "base.toml"\nname = "top"', base="inner = { widht = 1 }")
    with pytest.raises(UsageError, match=r"unknown key 'inner\.widht'; did you mean 'width'"):
        read_config(path, Outer)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"a": 'extends = "b.toml"', "b": 'extends = "a.toml"'}, "extends itself"),
        ({"a": 'extends = "a.toml"'}, "extends itself"),
        ({"a": 'extends = "none.toml"'}, r"none\.toml cannot be read"),
        ({"a": "extends = 3"}, "expected the name of a file in `extends`, found 3"),
        ({"a": "name = "}, "not valid TOML"),
        ({"a": ""}, "the key 'name' is missing"),
        ({"a": 'nmae = "x"'}, "unknown key 'nmae'; did you mean 'name'"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_config(_write(tmp_path, **texts), Outer)


def test_a_file_without_base_is_as_it_stands(tmp_path: Path) -> None:
    assert read_document(_write(tmp_path, a="x = [1]\ny = { z = 2 }")) == {"x": [1], "y": {"z": 2}}


leaves = st.one_of(st.integers(), st.lists(st.integers(), max_size=2))
tables = st.recursive(
    st.dictionaries(st.sampled_from("abc"), leaves, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), st.one_of(leaves, inner), max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(tables, tables, tables)
def test_laying_over_replaces_what_is_no_table(
    a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]
) -> None:
    assert merged(a, {}) == merged({}, a) == merged(a, a) == a
    assert merged(merged(a, b), b) == merged(a, b)
    for key, value in c.items():
        if not isinstance(value, dict):
            assert merged(a, c)[key] == value
    assert set(merged(a, b)) == {*a, *b}
