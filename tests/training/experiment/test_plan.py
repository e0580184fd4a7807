from __future__ import annotations

from dataclasses import replace

from histocerb.training.experiment.plan import EXPERIMENT, Experiment, Run, job_of, jobs


def _with_runs(experiment: Experiment, name: str, *runs: Run) -> Experiment:
    rows = tuple(replace(row, runs=runs) if row.name == name else row for row in experiment.rows)
    return replace(experiment, rows=rows)


def test_every_row_is_trained_without_each_fold(experiment: Experiment) -> None:
    found = jobs(experiment)
    assert len(found) == 2 * 4
    for job in found:
        assert job.config.store == "stores/x"
        assert job.config.name == job.name
        assert job.config.validation.split == job.splits["cross"]
        assert job.splits["external"] == "external"
    names = [job.name for job in found]
    assert len(set(names)) == len(names)


def test_a_run_that_starts_from_another_comes_after_it(experiment: Experiment) -> None:
    found = jobs(experiment, ("later",))
    assert [job.splits["cross"] for job in found] == ["fold-1", "fold-1", "fold-2", "fold-2"]
    for base, job in zip(found[::2], found[1::2], strict=True):
        assert base.after is None
        assert job.after == base.name
    assert {job.name for job in found} <= {job.name for job in jobs(experiment)}


def test_equal_configurations_are_one_run(experiment: Experiment) -> None:
    same = replace(experiment.rows[2], name="again")
    doubled = replace(experiment, rows=(*experiment.rows, same), name="other")
    assert jobs(doubled) == jobs(experiment)


def test_what_changes_the_result_changes_the_name(experiment: Experiment) -> None:
    run = experiment.rows[2].runs[0]
    before = {job.name for job in jobs(experiment, ("both",))}

    def names(**changes: object) -> set[str]:
        changed = _with_runs(experiment, "both", replace(run, config=replace(run.config, **changes)))
        return {job.name for job in jobs(changed, ("both",))}

    assert names(workers=7, save_every=9, start_from="x") != before
    assert names(workers=7, save_every=9) == before
    assert not names(seed=3) & before


def test_the_data_decide_not_where_they_are(experiment: Experiment) -> None:
    def names(**data: str) -> list[str]:
        held = {**experiment.data, **{name.replace("_", "-"): value for name, value in data.items()}}
        return [job.name for job in jobs(replace(experiment, data=held))]

    before = names()
    assert [job.name for job in jobs(replace(experiment, store="y"))] == before
    for split in ("fold_1", "fold_2", "fold_3"):  # each run trains on the others: all of them are other runs
        assert not {*names(**{split: "f" * 64})} & {*before}
    assert names(external="f" * 64) == before


def test_a_run_does_not_depend_on_the_external_test(experiment: Experiment) -> None:
    columns = experiment.sections[:1]
    data = {split: held for split, held in experiment.data.items() if split != "external"}
    without = replace(experiment, external=None, data=data, sections=columns)
    assert [job.name for job in jobs(without)] == [job.name for job in jobs(experiment)]


def test_the_name_of_a_configuration_is_part_of_the_name(experiment: Experiment) -> None:
    run = experiment.rows[2].runs[0]
    renamed = _with_runs(experiment, "both", replace(run, config=replace(run.config, name="other")))
    pairs = zip(jobs(experiment, ("both",)), jobs(renamed, ("both",)), strict=True)
    for job, other in pairs:
        config, fold, digest = job.name.split(".")
        assert config == run.config.name
        assert other.name == f"other.{fold}.{digest}"


def test_what_a_row_starts_from_is_part_of_its_name(experiment: Experiment) -> None:
    run = experiment.rows[2].runs[0]
    other = _with_runs(experiment, "both", replace(run, config=replace(run.config, seed=3)))
    bases, later = jobs(experiment, ("later",))[::2], jobs(experiment, ("later",))[1::2]
    changed = jobs(other, ("later",))[1::2]
    assert not {job.name for job in later} & {job.name for job in changed}
    assert [job.after for job in later] == [job.name for job in bases]


def test_the_weights_that_a_run_begins_with_decide_not_where_they_are(experiment: Experiment) -> None:
    run = experiment.rows[2].runs[0]

    def names(place: str, **weights: str) -> set[str]:
        pointed = replace(run, config=replace(run.config, start_from=place), weights=weights)
        return {job.name for job in jobs(_with_runs(experiment, "both", pointed), ("both",))}

    assert names("a", start_from="1" * 64) == names("b", start_from="1" * 64)
    assert not names("a", start_from="1" * 64) & names("a", start_from="2" * 64)
    assert not names("a") & names("b"), "nothing is known but the places"


def test_the_checkpoint_of_a_configuration_does_not_matter_where_a_row_is_named(
    experiment: Experiment,
) -> None:
    run = experiment.rows[3].runs[0]
    pointed = replace(run, config=replace(run.config, start_from="runs/cerberus/model"))
    assert jobs(_with_runs(experiment, "later", pointed)) == jobs(experiment)


def test_columns_are_filled_by_the_run_that_trains_their_task(experiment: Experiment) -> None:
    reference, alone = experiment.rows[:2]
    assert job_of(experiment, reference, "gland", "fold-1") is None
    for task in ("gland", "lumen"):
        job = job_of(experiment, alone, task, "fold-2")
        assert job is not None
        assert job.heads == (f"{task}.instance",)


def test_experiments_are_kept_as_json(experiment: Experiment) -> None:
    assert EXPERIMENT.validate_json(EXPERIMENT.dump_json(experiment)) == experiment
