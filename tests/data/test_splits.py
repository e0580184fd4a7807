from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import UsageError
from histocerb.data.manifest import LabelRecord, Record
from histocerb.data.splits import (
    EXTERNAL,
    TRAIN,
    VALID,
    SplitParams,
    assign,
    lacking,
    leaks,
    plan_from,
    plan_text,
    training_splits,
)

_BLANK = Record("", "", "", "", None, 0.5, 1, 1, "", 0, 0, "", ())
_ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=1, max_size=60)
_PLANS = st.builds(SplitParams, st.sampled_from([0, 2, 3, 5]), st.floats(0, 0.9), seed=st.integers(0, 3))


def _records(rows: list[tuple[str, int]]) -> list[Record]:
    return [replace(_BLANK, name=str(i), source=s, patient=f"p{p}") for i, (s, p) in enumerate(rows)]


@given(_ROWS, _PLANS, st.data())
@settings(max_examples=100, deadline=None)
def test_nothing_leaks_and_order_does_not_matter(rows, params: SplitParams, data) -> None:
    place = st.integers(0, len(rows) - 1)
    together = data.draw(st.lists(st.tuples(place, place), max_size=8))
    assigned = assign(_records(rows), params, together)
    assert leaks(assigned, together) == []
    allowed = {f"fold-{k + 1}" for k in range(params.folds)} or {TRAIN, VALID}
    assert {r.split for r in assigned} <= allowed
    last = len(rows) - 1
    turned = assign(_records(rows)[::-1], params, [(last - i, last - j) for i, j in together])
    assert {r.name: r.split for r in turned} == {r.name: r.split for r in assigned}


def test_leaks_of_patients_and_images_are_named() -> None:
    first, second = _records([("a", 1), ("b", 1)])
    apart = [replace(first, split="fold-1"), replace(second, split="fold-2")]
    assert leaks(apart) == ["patient p1 is in several splits: fold-1, fold-2"]
    other = replace(apart[1], patient="p2")
    assert leaks([apart[0], other]) == []
    assert leaks([apart[0], other], [(0, 1)]) == ["a/0 (fold-1) and b/1 (fold-2) show the same image"]


def test_fraction_is_of_samples_and_every_source_validates() -> None:
    rows = [("a", i // 4) for i in range(80)] + [("b", 100 + i) for i in range(10)]
    found = assign(_records(rows), SplitParams(valid_fraction=0.2))
    count = {s: sum(r.split == VALID for r in found if r.source == s) for s in "ab"}
    assert count == {"a": 16, "b": 2}


def test_another_source_leaves_a_split_alone() -> None:
    first = _records([("a", i) for i in range(20)])
    both = [*first, *_records([("b", 50 + i) for i in range(30)])]
    assert assign(both, SplitParams())[:20] == assign(first, SplitParams())


@given(_ROWS, _ROWS, _PLANS, st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_settled_stays(rows, more, params: SplitParams, data) -> None:
    """Also where sources come to share patients, as when slides are labelled in rounds."""
    before = assign(_records(rows), params)
    settled = {r.patient: r.split for r in before}
    later = _records(rows) + [replace(r, source="round-1", name=f"r{r.name}") for r in _records(more)]
    place = st.integers(0, len(later) - 1)
    together = data.draw(st.lists(st.tuples(place, place), max_size=3))
    after = assign(later, params, together, settled)
    assert leaks(after, together) == []
    linked = {later[i].patient for pair in together for i in pair}
    moved = {r.patient for r in after if settled.get(r.patient, r.split) != r.split}
    assert moved <= linked
    if not params.folds:
        assert all(r.split == TRAIN for r in after if r.patient in moved)


def test_what_is_new_is_spread_beside_what_is_settled() -> None:
    first = assign(_records([("a", i) for i in range(20)]), SplitParams(folds=2))
    settled = {r.patient: r.split for r in first}
    more = [replace(r, name=f"b{r.name}") for r in _records([("a", 50 + i) for i in range(20)])]
    both = assign([*first, *more], SplitParams(folds=2), (), settled)
    assert sum(r.split == "fold-1" for r in both) == 20
    held = assign(_records([("a", i) for i in range(10)]), SplitParams())
    later = assign([*held, *more], SplitParams(), (), {r.patient: r.split for r in held})
    assert [r.split for r in later[:10]] == [r.split for r in held]
    assert sum(r.split == VALID for r in later) == 6


def test_folds_are_alike_in_sources_and_classes() -> None:
    def label(n_plasma: int) -> LabelRecord:
        return LabelRecord("nuclei", "<u2", 0, 0, 100, n_plasma, ("plasma",), (n_plasma,))

    rows = _records([("a", i // 3) for i in range(90)] + [("b", 100 + i) for i in range(30)])
    records = [replace(r, labels=(label(10 * (i % 7)),)) for i, r in enumerate(rows)]
    found = assign(records, SplitParams(folds=3))
    for source, number in (("a", 30), ("b", 10)):
        count = [sum(r.split == f"fold-{k}" for r in found if r.source == source) for k in (1, 2, 3)]
        assert max(count) - min(count) <= 3
        assert sum(count) == 3 * number
    plasma = [sum(r.labels[0].per_class[0] for r in found if r.split == f"fold-{k}") for k in (1, 2, 3)]
    assert max(plasma) < 1.1 * min(plasma)


def test_external_by_source_centre_or_patient() -> None:
    records = [
        replace(r, centre="north" if i % 4 == 0 else "", patient=("TCGA-AA-1" if i == 9 else r.patient))
        for i, r in enumerate(_records([("a", i) for i in range(8)] + [("b", 3), ("b", 20)]))
    ]
    for name, expected in (("b", {3, 8, 9}), ("north", {0, 3, 4, 8}), ("TCGA", {9})):
        found = assign(records, SplitParams(folds=2, external=(name,)))
        assert {i for i, r in enumerate(found) if r.split == EXTERNAL} == expected
        assert leaks(found) == []
    for name in ("south", "TCG", "TCGA-A"):
        with pytest.raises(UsageError, match="there are a, b, north"):
            assign(records, SplitParams(external=(name,)))
    with pytest.raises(UsageError, match="found an empty one"):
        SplitParams(external=("",))


def test_sources_with_too_few_patients_are_named() -> None:
    records = assign(_records([("a", i) for i in range(9)] + [("b", 50), ("b", 51)]), SplitParams(folds=3))
    (text,) = lacking(records, 3)
    assert text.startswith("b has too few patients")
    assert text.count("fold-") == 1
    assert lacking(assign(records, SplitParams()), 0) == []
    few = assign(_records([("a", 1), ("a", 2)]), SplitParams(folds=4))
    assert lacking(few, 4) == ["a has too few patients for so many folds: nothing in fold-3, fold-4"]


def test_what_is_trained_on() -> None:
    folds = [replace(_BLANK, split=name) for name in ("fold-1", "fold-2", "fold-3", EXTERNAL)]
    assert training_splits(folds, "fold-2") == ["fold-1", "fold-3"]
    with pytest.raises(UsageError, match="fold-1, fold-2"):
        training_splits(folds, VALID)
    assert training_splits([replace(_BLANK, split=TRAIN)], VALID) == [TRAIN]


def test_a_plan_survives_the_manifest() -> None:
    plan = SplitParams(3, 0.1, ("TCGA", "b"), 7)
    assert plan_from(plan_text(plan)) == plan
    assert plan_from("") == SplitParams()


def test_small_groups() -> None:
    def splits(rows, fraction):
        return [r.split for r in assign(_records(rows), SplitParams(valid_fraction=fraction))]

    assert splits([("a", 0), ("a", 0)], 0.5) == [TRAIN, TRAIN]
    assert sorted(splits([("a", 0), ("a", 1)], 0.1)) == [TRAIN, VALID]
    assert splits([("a", 0), ("a", 1)], 0.0) == [TRAIN, TRAIN]
    with pytest.raises(UsageError, match="valid_fraction"):
        SplitParams(valid_fraction=1.0)
    with pytest.raises(UsageError, match="two folds"):
        SplitParams(folds=1)
