import pytest

from histocerb.core.errors import UsageError
from histocerb.data.sources.entry import as_entries
from histocerb.data.sources.renamed import renamed


def test_another_source_and_the_same_patients(sample) -> None:
    entries = list(as_entries([sample("a"), sample("b")]))
    found = [entry.load() for entry in renamed(entries, "mine-2", {"glas"})]
    assert [(s.source, s.name, s.patient) for s in found] == [
        ("mine-2", s.name, s.patient) for s in (entry.load() for entry in entries)
    ]


@pytest.mark.parametrize("name", ["glas", "round-2", "../up", "Mine", "a b", ".part", "all"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        renamed([], name, {"glas"})
