from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import UsageError
from histocerb.data.splits import TRAIN, VALID, SplitParams, assign
from histocerb.data.store import Record

_BLANK = Record("", "", "", "", None, 0.5, 1, 1, "", 0, 0, "", ())
_ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=1, max_size=60)


def _records(rows: list[tuple[str, int]]) -> list[Record]:
    return [replace(_BLANK, name=str(i), source=s, patient=f"p{p}") for i, (s, p) in enumerate(rows)]


@given(_ROWS, st.floats(0, 0.9), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_patient_in_two_splits_and_order_does_not_matter(rows, fraction: float, seed: int) -> None:
    params = SplitParams(fraction, seed)
    found = {r.name: r for r in assign(_records(rows), params)}
    splits = {(r.patient, r.split) for r in found.values()}
    assert len(splits) == len({patient for patient, _ in splits})
    assert {r.split for r in found.values()} <= {TRAIN, VALID}
    again = {r.name: r for r in assign(_records(rows)[::-1], params)}
    assert again == found


def test_fraction_is_of_samples_and_every_source_validates() -> None:
    rows = [("a", i // 4) for i in range(80)] + [("b", 100 + i) for i in range(10)]
    found = assign(_records(rows), SplitParams(0.2))
    count = {s: sum(r.split == VALID for r in found if r.source == s) for s in "ab"}
    assert count == {"a": 16, "b": 2}


def test_another_source_leaves_a_split_alone() -> None:
    first = _records([("a", i) for i in range(20)])
    both = [*first, *_records([("b", 50 + i) for i in range(30)])]
    assert assign(both, SplitParams())[:20] == assign(first, SplitParams())


def test_small_groups() -> None:
    def splits(rows, fraction):
        return [r.split for r in assign(_records(rows), SplitParams(fraction))]

    assert splits([("a", 0), ("a", 0)], 0.5) == [TRAIN, TRAIN]
    assert sorted(splits([("a", 0), ("a", 1)], 0.1)) == [TRAIN, VALID]
    assert splits([("a", 0), ("a", 1)], 0.0) == [TRAIN, TRAIN]
    with pytest.raises(UsageError, match="valid_fraction"):
        SplitParams(1.0)
