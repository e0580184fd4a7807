from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.failures import Failure, remember
from histocerb.inference.cohort.plan import Request, Shard, by_size, make_plan, share
from histocerb.inference.cohort.slides import CohortSlide

SIZES = st.lists(st.integers(0, 1000), max_size=40)


def slides(sizes):
    return [CohortSlide(Path(f"{n}.svs"), str(n), file_bytes=size) for n, size in enumerate(sizes)]


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, count=st.integers(1, 9), data=st.data())
def test_shards_part_the_cohort_evenly_whatever_its_order(sizes, count, data):
    cohort = by_size(slides(sizes))
    shuffled = by_size(data.draw(st.permutations(slides(sizes))))
    shares = [share(cohort, Shard(number, count)) for number in range(1, count + 1)]
    assert shares == [share(shuffled, Shard(number, count)) for number in range(1, count + 1)]
    assert sorted(slide.name for one in shares for slide in one) == sorted(slide.name for slide in cohort)
    for one in shares:
        assert [slide.file_bytes for slide in one] == sorted((s.file_bytes for s in one), reverse=True)
    loads = [sum(slide.file_bytes + 1 for slide in one) for one in shares]
    assert max(loads) - min(loads) <= max(sizes, default=0) + 1


def test_the_largest_comes_first_then_names_decide():
    assert [slide.name for slide in by_size(slides([5, 9, 5, 0]))] == ["1", "0", "2", "3"]


@pytest.mark.parametrize(
    ("text", "shard"), [("1/1", Shard(1, 1)), (" 3 / 8 ", Shard(3, 8)), ("8/8", Shard(8, 8))]
)
def test_shard_is_read(text, shard):
    assert Shard.parse(text) == shard


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.5/4", "²/3"])
def test_no_shard(text):
    with pytest.raises(UsageError, match="1/8"):
        Shard.parse(text)


def test_retry_is_of_what_failed_within_the_shard(scans, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a", "b", "gone"):
        remember(out, Failure(f"{name}.png", name, "reason"))
    plan = make_plan(Request((scans,), retry_failed=True), out)
    assert [slide.name for slide in plan.cohort] == ["b", "c", "a"]
    assert [slide.name for slide in plan.todo] == ["b", "a"]
    parts = [make_plan(Request((scans,), shard=Shard(n, 2), retry_failed=True), out).todo for n in (1, 2)]
    assert sorted(slide.name for part in parts for slide in part) == ["a", "b"]
