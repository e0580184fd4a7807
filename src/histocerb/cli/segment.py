"""`histocerb segment`: slides in, one result folder per slide out, and one table over all of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.cohort_progress import cohort_progress
from histocerb.cli.console import ExitCode, say, verbosity
from histocerb.cli.segment_report import report
from histocerb.core.errors import UsageError

if TYPE_CHECKING:
    from histocerb.inference.cluster.ray_cluster import Cluster
    from histocerb.inference.cohort.run import Outcome


def segment(
    context: typer.Context,
    slides: Annotated[
        list[str], typer.Argument(metavar="SLIDE...", help="Slides, folders, quoted globs or CSV tables.")
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder or URL for one result folder per slide.")],
    model: Annotated[str, typer.Option(help="Packaged model or checkpoint folder.")] = "default",
    mpp: Annotated[
        float | None, typer.Option(help="Micrometres per pixel, for all slides without one in a table.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:0, cuda:all, or several: cuda:0,cuda:1.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or auto.")] = "auto",
    batch: Annotated[str, typer.Option(metavar="N", help="Windows on a GPU at a time, or auto.")] = "auto",
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most memory to take, such as 4GB.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace complete results.")] = False,
    keep_maps: Annotated[
        bool, typer.Option("--keep-maps", help="Keep the probability maps beside the results.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Only slides that failed before.")
    ] = False,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Only the I-th of N shares of the slides.")
    ] = "1/1",
    config: Annotated[Path | None, typer.Option(help="TOML file: how the work is laid out.")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Work on a Ray cluster: auto, or its address.")
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Where slides that have a URL are copied to.")
    ] = None,
    cache_size: Annotated[str, typer.Option(metavar="SIZE", help="Most that such copies take.")] = "100GB",
) -> None:
    """Find nuclei, glands, lumina and tissue types on slides."""
    from histocerb.api import ModelSource, load_model
    from histocerb.core.config_file import read_config
    from histocerb.inference.cluster.cohort import Where, segment_anywhere
    from histocerb.inference.cluster.results import results_at
    from histocerb.inference.cluster.tasks import ModelOnNodes
    from histocerb.inference.cohort.failures import FAILURES_FILE
    from histocerb.inference.cohort.plan import Request, Shard, make_plan
    from histocerb.inference.compute import check_for_gpu
    from histocerb.inference.memory import within
    from histocerb.inference.pipeline import WorkSettings
    from histocerb.slides.remote import place
    from histocerb.slides.staging import Cache, parse_bytes

    request = Request(tuple(map(place, slides)), mpp, Shard.parse(shard), retry_failed, overwrite)
    nodes = _nodes(cluster, device, memory)
    where = Where(place(out), Cache(cache_dir, parse_bytes(cache_size)), nodes)
    settings = read_config(config, WorkSettings) if config else WorkSettings()
    if keep_maps:
        settings = replace(settings, keep_maps=True)
    budget = None if memory is None else parse_bytes(memory, "--memory")
    with _ends_cleanly(), results_at(where.out) as results:
        plan = make_plan(request, results.folder)
        if nodes and nodes.gpus:
            check_for_gpu(precision, batch)
            loaded = load_model(model, "cpu").running
        else:
            loaded = load_model(model, device, precision, batch).running
        on_nodes = ModelOnNodes(ModelSource(_absolute(model), device, precision, batch), loaded.sha256)
        if budget is not None:
            settings = within(budget, settings, loaded)
        with cohort_progress(plan.todo, verbosity(context)) as watch:
            outcomes = segment_anywhere(plan, loaded, on_nodes, results, where, settings, watch)
        failures = (results.folder / FAILURES_FILE).exists()
    say(report(outcomes, where.out, failures))
    _leave(outcomes)


@contextmanager
def _ends_cleanly() -> Iterator[None]:
    """SIGTERM, with which schedulers end a job, does what Ctrl-C does: nothing temporary stays behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(outcomes: Sequence[Outcome]) -> None:
    """End with the status that says what became of the slides."""
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(ExitCode.FAILED)
    if any(outcome.in_work for outcome in outcomes):
        raise typer.Exit(ExitCode.IN_WORK)


def _nodes(address: str | None, device: str, memory: str | None) -> Cluster | None:
    """The cluster to work on, if any; which GPU a task takes, Ray chooses."""
    from histocerb.inference.cluster.ray_cluster import Cluster

    if address is None:
        return None
    if memory is not None:
        raise UsageError(
            "expected --memory without --cluster, found both; choose the memory of tasks on the cluster"
        )
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"expected --device auto, cpu or cuda with --cluster, found {device!r}; Ray gives each task a GPU"
        )
    return Cluster(address, gpus=device != "cpu")


def _absolute(model: str) -> str:
    """A checkpoint folder by its whole path: nodes work in other folders."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model
