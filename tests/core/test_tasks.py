import re

import pytest

from histocerb.core import errors
from histocerb.core.colours import CLASS_COLOURS, UNKNOWN_COLOUR, colour
from histocerb.core.tasks import CERBERUS, PRESETS, HeadKind


@pytest.mark.parametrize("spec", PRESETS.values(), ids=lambda spec: spec.name)
def test_presets_are_consistent(spec):
    names = [head.name for head in spec.heads]
    assert len(set(names)) == len(names)
    for task in spec.tasks:
        assert all(head.name.startswith(f"{task.name}.") for head in task.heads)
        assert (task.postproc is not None) == (task.head(HeadKind.INSTANCE) is not None)
        assert all(set(members) <= set(task.classes) for members in task.groups.values())


@pytest.mark.parametrize("spec", PRESETS.values(), ids=lambda spec: spec.name)
def test_every_class_and_untyped_kind_has_a_colour_of_its_own(spec):
    for task in spec.tasks:
        shown = task.classes or (task.kind,)
        assert set(shown) <= set(CLASS_COLOURS)
        assert len({colour(name) for name in shown}) == len(shown)


def test_unknown_classes_are_grey():
    assert colour("nothing like it") == UNKNOWN_COLOUR


def test_containers_come_first():
    order = [task.name for task in CERBERUS.objects]
    assert order.index("gland") < order.index("lumen")
    assert CERBERUS.patch is not None
    assert CERBERUS.patch.name not in order


def test_lookup():
    assert CERBERUS.task("nuclei") is CERBERUS.task_of_kind("nucleus")
    for look in (CERBERUS.task, CERBERUS.task_of_kind):
        with pytest.raises(KeyError):
            look("nothing")


def test_class_names_of_the_contract():
    assert CERBERUS.task("nuclei").classes == (
        "neutrophil",
        "epithelial",
        "lymphocyte",
        "plasma",
        "eosinophil",
        "connective",
    )
    assert CERBERUS.task("gland").classes == ("gland", "surface-epithelium")
    assert CERBERUS.task("lumen").classes == ()
    assert CERBERUS.task("tissue").classes[0] == "background"


def test_the_tree_in_the_docstring_is_the_hierarchy():
    """The same names, each drawn one step deeper than its parent."""
    drawn = re.findall(r"^([│├└─ ]*)(\w+Error)", errors.__doc__, re.MULTILINE)
    classes = {name: cls for name, cls in vars(errors).items() if isinstance(cls, type)}
    assert [name for _, name in drawn] == list(classes)
    depth = {name: len(indent) // 4 for indent, name in drawn}
    for name, cls in classes.items():
        parent = cls.__base__.__name__
        assert depth[name] == (depth[parent] + 1 if parent in depth else 0)
