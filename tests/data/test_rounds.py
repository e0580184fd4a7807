import json
from dataclasses import replace

import pytest

from histocerb.core.errors import DataError, UsageError
from histocerb.core.samples import Provenance
from histocerb.data.convert import convert
from histocerb.data.rounds import Figure, Round, record, refuse_loss, rounds, verdict
from histocerb.data.sources.entry import as_entries


def summary(mean, half=0.05, n=20):
    return {"n": n, "mean": mean, "sd": 0.1, "low": mean - half, "high": mean + half}


def report(path, figures, split="valid", names=("x", "y")):
    """As `histocerb evaluate` writes it; `figures` per source and task, a patch task beside them."""
    per_source = {
        source: {task: {"pq": found, "dice": summary(0.9)}} for (source, task), found in figures.items()
    }
    per_source["patches"] = {"tissue": {"n": 5, "accuracy": summary(0.8)}}
    document = {
        "model": {"path": "m", "sha256": "0"},
        "data": {"store": "s", "splits": [split]},
        "images": [
            {"id": f"{source}/{name}", "source": source, "tasks": dict.fromkeys(tasks)}
            for source, tasks in per_source.items()
            for name in names
        ],
        "summary": {"all": {"gland": {"pq": summary(0.1)}}, **per_source},
    }
    path.write_text(json.dumps(document))
    return path


def of(number, mean, half=0.05, n=20, name="glas, gland"):
    figures = {} if mean is None else {name: Figure(n, mean, mean - half, mean + half)}
    return Round(number, 3, {"gland": 9}, (), (), (), figures)


@pytest.fixture(scope="module")
def path(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds") / "store"
    convert(as_entries([sample("a"), sample("b", tasks=("gland", "lumen"))]), folder)
    for number, who in ((1, ("zoe", "ann")), (2, ("ann",))):
        made = [
            replace(
                sample(f"r{number}-{i}", source=f"round-{number}"),
                provenance=Provenance(number, name, f"2026-11-0{i + 1}", "default sha256:0"),
            )
            for i, name in enumerate(who)
        ]
        convert(as_entries(made), folder)
    return folder


@pytest.fixture(autouse=True)
def _no_ledger(path):
    (path / "rounds.json").unlink(missing_ok=True)


def test_samples_objects_and_people_per_round(path):
    zero, one, two = rounds(path)
    assert [found.number for found in (zero, one, two)] == [0, 1, 2]
    assert [found.samples for found in (zero, one, two)] == [2, 2, 1]
    assert set(zero.objects) == {"nuclei", "gland", "lumen"}
    assert set(one.objects) == {"nuclei"}
    assert one.objects["nuclei"] > 0
    assert (zero.annotators, zero.dates, zero.models) == ((), (), ())
    assert (one.annotators, one.dates) == (("ann", "zoe"), ("2026-11-01", "2026-11-02"))
    assert one.models == ("default sha256:0",)
    assert not any(found.figures for found in (zero, one, two))


def test_reports_are_kept(path, tmp_path):
    figures = {("glas", "gland"): summary(0.7), ("consep", "nuclei"): summary(0.5, n=3)}
    record(path, 0, report(tmp_path / "0.json", figures))
    record(path, 3, report(tmp_path / "3.json", {("glas", "gland"): summary(0.8)}))
    assert [(found.number, found.samples) for found in rounds(path)] == [(0, 2), (1, 2), (2, 1), (3, 0)]
    zero, *_, three = rounds(path)
    assert {name: replace(figure, images="") for name, figure in zero.figures.items()} == {
        "glas, gland": Figure(20, 0.7, 0.7 - 0.05, 0.7 + 0.05),
        "consep, nuclei": Figure(3, 0.5, 0.5 - 0.05, 0.5 + 0.05),
    }
    assert zero.figures["glas, gland"].images == three.figures["glas, gland"].images != ""
    assert zero.figures["glas, gland"].images != zero.figures["consep, nuclei"].images
    assert list(three.figures) == ["glas, gland"]
    record(path, 3, report(tmp_path / "3.json", {("glas", "gland"): summary(0.6)}))
    assert rounds(path)[-1].figures["glas, gland"].mean == 0.6
    assert "harm" in verdict(rounds(path))


def test_as_many_other_images_are_not_compared(path, tmp_path):
    figures = {("glas", "gland"): summary(0.5)}
    record(path, 0, report(tmp_path / "0.json", figures))
    record(path, 1, report(tmp_path / "1.json", {("glas", "gland"): summary(0.7)}, names=("x", "z")))
    assert "different images" in verdict(rounds(path))
    ledger = json.loads((path / "rounds.json").read_text())
    del ledger["0"]["glas, gland"]["images"]  # as it was written before images were kept
    (path / "rounds.json").write_text(json.dumps(ledger))
    assert "better: glas, gland" in verdict(rounds(path))


def test_undefined_figures_are_left_out(path, tmp_path):
    nothing = {"n": 0, "mean": None, "sd": None, "low": None, "high": None}
    figures = {("glas", "gland"): summary(0.7), ("glas-2", "gland"): nothing}
    record(path, 1, report(tmp_path / "1.json", figures))
    assert list(rounds(path)[1].figures) == ["glas, gland"]


def test_one_patient_says_nothing_about_chance(path, tmp_path):
    """Its images have figures and no interval."""
    for number, mean in ((0, 0.5), (1, 0.9)):
        figures = {("glas", "gland"): {**summary(mean), "low": None, "high": None}}
        record(path, number, report(tmp_path / f"{number}.json", figures))
    found = rounds(path)
    assert replace(found[1].figures["glas, gland"], images="") == Figure(20, 0.9, None, None)
    assert "one patient" in verdict(found)
    both = [
        replace(one, figures={**one.figures, **of(one.number, mean, name="crag, gland").figures})
        for one, mean in zip(found[:2], (0.5, 0.7), strict=True)
    ]
    assert "better: crag, gland" in verdict(both)
    assert "glas" not in verdict(both)


def test_wrong_reports(path, tmp_path):
    good = {("glas", "gland"): summary(0.7)}
    with pytest.raises(UsageError, match="held out"):
        record(path, 1, report(tmp_path / "train.json", good, split="train"))
    with pytest.raises(UsageError, match="round from 0"):
        record(path, -1, report(tmp_path / "r.json", good))
    with pytest.raises(DataError, match="found none"):
        record(path, 1, report(tmp_path / "empty.json", {}))
    wrong = '{"data": {"splits": []}, "images": [{"source": "a"}], "summary": {"a": {"b": {"pq": 3}}}}'
    for content in ("{", "[]", "{}", wrong):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(DataError, match=r"bad\.json: expected a report"):
            record(path, 1, tmp_path / "bad.json")
    assert not (path / "rounds.json").exists()


def test_damaged_ledger(path):
    (path / "rounds.json").write_text('{"1": 4}')
    with pytest.raises(DataError, match=r"rounds\.json: expected the figures"):
        rounds(path)


def test_a_round_is_not_silently_cut_down(path):
    refuse_loss(path, 1, ["r1-0", "r1-1", "r1-2"])
    refuse_loss(path, 3, ["other"])
    with pytest.raises(UsageError, match="found 1 others such as r1-1"):
        refuse_loss(path, 1, ["r1-0"])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([of(0, None), of(1, None)], "no round has validation figures"),
        ([of(0, 0.5), of(1, None)], "only round 0 has"),
        ([of(0, 0.5), of(1, 0.6, n=21)], "different images"),
        ([of(0, 0.5), of(1, 0.6, name="other, gland")], "different images"),
        ([of(0, 0.5), of(1, 0.56), of(2, 0.62)], "still improved: go on"),
        ([of(0, 0.5), of(1, 0.6), of(2, 0.64)], "Improvement has stopped"),
        ([of(0, 0.5), of(1, 0.6), of(2, 0.56)], "Improvement has stopped"),
        ([of(0, 0.5), of(1, 0.6), of(2, 0.54)], "did harm"),
        ([of(0, 0.5), of(1, 0.6, half=0.3), of(2, 0.8)], "Improvement has stopped"),
        ([of(0, 0.5), of(1, 0.6), of(2, None), of(3, 0.7)], "round 3 against round 1"),
    ],
)
def test_verdict(found, expected):
    assert expected in verdict(found)


def test_verdict_says_what_weakens_it():
    assert "one comparison" in verdict([of(0, 0.5), of(1, 0.6)])
    assert "one comparison" not in verdict([of(0, 0.5), of(1, 0.6), of(2, 0.7)])
    assert "4 images are rough" in verdict([of(0, 0.5, n=4), of(1, 0.6, n=4)])


def test_verdict_names_gains_and_losses():
    before = replace(of(0, 0.5), figures=of(0, 0.5).figures | of(0, 0.5, name="glas, lumen").figures)
    after = replace(of(1, 0.6), figures=of(1, 0.6).figures | of(1, 0.4, name="glas, lumen").figures)
    text = verdict([before, after])
    assert "better: glas, gland 0.500 -> 0.600 (+0.100, chance ±0.050)" in text
    assert "worse: glas, lumen 0.500 -> 0.400 (-0.100, chance ±0.050)" in text
