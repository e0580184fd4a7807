"""What the documents say exists: links, commands, options, configuration keys, code."""

import ast
import re
import shlex
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import typer
import yaml
from pydantic import TypeAdapter

import histocerb
from histocerb._version import __version__
from histocerb.cli.main import app
from histocerb.data.augment import AugmentParams
from histocerb.data.batches import CropParams
from histocerb.data.sampler import SamplerParams
from histocerb.inference.pipeline import WorkSettings
from histocerb.training.config import StageConfig, TrainConfig, ValidationConfig
from histocerb.training.experiment.files import ExperimentEntry, RowEntry, RunEntry
from histocerb.training.experiment.plan import Column, Section

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CONFIGS = (WorkSettings, TrainConfig, StageConfig, SamplerParams, CropParams, AugmentParams, ValidationConfig)
EXPERIMENTS = (ExperimentEntry, RowEntry, RunEntry, Section, Column)
MAKE_TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)


def all_blocks(language):
    return [(page.relative_to(ROOT).as_posix(), block) for page in PAGES for block in blocks(page, language)]


def shell_lines():
    found = [(page, line) for page, block in all_blocks("console") for line in block.splitlines()]
    return [(page, line.removeprefix("$ ")) for page, line in found if line.startswith("$ ")]


def headings(page):
    titles = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands():
    """Every command with its words, groups left out."""
    found = {}

    def walk(words, command):
        inner = getattr(command, "commands", None)
        if inner is None:
            found[words] = command
        for name, child in (inner or {}).items():
            walk((*words, name), child)

    walk((), typer.main.get_command(app))
    return found


def options(command):
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in headings(file), target


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_commands_parse(page, line):
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        assert set(words) <= MAKE_TARGETS
        return
    assert program == "histocerb", line
    words = [word for word in words if word not in ("--quiet", "--debug")]
    name = next(known for known in commands() if tuple(words[: len(known)]) == known)
    with commands()[name].make_context(name[-1], words[len(name) :]) as context:
        assert context.params


def test_every_command_and_option_is_in_the_reference():
    reference = text_of(ROOT / "docs/reference/commands.md")
    for words, command in commands().items():
        section = re.search(rf"^## histocerb {' '.join(words)}\b(.*?)(?=^## |\Z)", reference, re.M | re.S)
        assert section, words
        named = set(re.findall(r"--\w[\w-]*", section.group(0)))
        assert named == options(command), words


@pytest.mark.parametrize("config", [*CONFIGS, *EXPERIMENTS], ids=lambda config: config.__name__)
def test_every_key_is_in_the_reference(config):
    named = set(re.findall(r"`\[*([\w.]+)\]*`", text_of(ROOT / "docs/reference/configuration.md")))
    assert {field.name for field in fields(config)} <= {name.split(".")[-1] for name in named}


def test_defaults_in_the_reference_are_right():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", text_of(ROOT / "docs/reference/configuration.md"), re.M)
    said = {name: tomllib.loads(f"x = {default.strip(chr(96))}")["x"] for name, default in rows}
    for config in CONFIGS:
        for name, default in _defaults(config).items():
            assert said.pop(name, default) == default, name
    assert said == {}


def _defaults(config):
    stage = StageConfig(("nuclei.instance",), 1)
    needed = {"name": "", "store": "", "stages": (stage,), "heads": stage.heads, "steps": 1}
    one = config(**{field.name: needed[field.name] for field in fields(config) if field.name in needed})
    values = {field.name: getattr(one, field.name) for field in fields(config) if field.name not in needed}
    return {k: v for k, v in values.items() if not is_dataclass(v)}


@pytest.mark.parametrize(("page", "block"), all_blocks("toml"))
def test_configurations_are_valid(page, block):
    document = tomllib.loads(block)
    model = ExperimentEntry if "rows" in document else TrainConfig
    assert TypeAdapter(model).validate_python(document).name


@pytest.mark.parametrize(("page", "block"), all_blocks("python"))
def test_python_parses_and_uses_public_names(page, block):
    tree = ast.parse(block)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hc"
    }
    assert used <= set(histocerb.__all__)


def test_citation_and_changelog_name_this_version():
    assert yaml.safe_load(text_of(ROOT / "CITATION.cff"))["version"] == __version__
    assert f"## [{__version__}]" in text_of(ROOT / "CHANGELOG.md")


def test_every_public_name_is_in_the_reference():
    named = set(re.findall(r"`(\w+)", text_of(ROOT / "docs/reference/python.md")))
    assert set(histocerb.__all__) <= named
