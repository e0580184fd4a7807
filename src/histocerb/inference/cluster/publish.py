"""One slide whose results belong into a store: work on a local disk, finished windows and results sent there.

```
<slide>/.work/lease-*         who works on it (`store_lease`)
<slide>/.pieces-<key>/*.tar   finished windows, sent every `SEND_S` seconds (`pieces`)
<slide>/manifest.json         first `running`; `done`, with sizes and checksums, after all results
```
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from histocerb.core.errors import HistocerbError, OutputError
from histocerb.inference import work
from histocerb.inference.cluster import pieces
from histocerb.inference.cluster.store import Store
from histocerb.inference.cluster.store_lease import StoreLease, leased
from histocerb.inference.manifest import (
    MANIFEST_FILE,
    Manifest,
    RunningModel,
    Status,
    describe,
    json_text,
    parse_manifest,
)
from histocerb.inference.periodic import every
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.progress import Progress, no_progress
from histocerb.inference.slide import SlideResult, segment_slide
from histocerb.slides.reader import Slide

_LOG = logging.getLogger(__name__)

SEND_S = 60.0
"""Seconds between two pieces: at most so much work is lost with a machine."""


@dataclass(frozen=True)
class HowToWork:
    """What does not change a result.

    Attributes:
        settings: how the work is laid out.
        overwrite: replace complete results.
        scratch: folder for work in progress; None: among the temporary files.
        progress: told how far it is.
    """

    settings: WorkSettings
    overwrite: bool = False
    scratch: Path | None = None
    progress: Progress = no_progress


def finished(folder: Store, key: str, *, overwrite: bool) -> Manifest | None:
    """The manifest of a complete result of the same inputs in a store; None where there is none.

    Raises:
        OutputError: The folder holds another complete result, which may not be overwritten.
    """
    if overwrite:
        return None
    manifest = stored_manifest(folder)
    if manifest is None or manifest.status is not Status.DONE:
        return None
    work.check_key(manifest, key, str(folder.root))
    intact = all(is_intact(folder, name, manifest.files.get(name)) for name in work.RESULTS)
    return manifest if intact else None


def segment_into_store(slide: Slide, model: RunningModel, folder: Store, how: HowToWork) -> SlideResult:
    """Segment a slide whose results belong into a store; see `segment_slide`.

    Raises:
        InWorkError: Another process works on this slide, or took it over.
        OutputError: The folder holds another result, or the store cannot be written.
        SlideError: The slide cannot be read.
    """
    begun = describe(slide, model)
    earlier = finished(folder, begun.key, overwrite=how.overwrite)
    if earlier is not None:
        return _skipped(folder, earlier)
    with leased(folder) as lease, tempfile.TemporaryDirectory(prefix="histocerb-", dir=how.scratch) as place:
        earlier = finished(folder, begun.key, overwrite=how.overwrite)
        if earlier is not None:  # another process has finished it just now
            return _skipped(folder, earlier)
        local = Path(place) / "slide"
        try:
            manifest = _segment(slide, model, folder, how, lease, local)
        except Exception as error:
            _tell_failure(folder, lease, begun, error)
            raise
    return SlideResult(folder.root, manifest)


def _skipped(folder: Store, earlier: Manifest) -> SlideResult:
    """A result that was there, without pieces that a process left which was killed just after it was done."""
    pieces.discard_of(folder, earlier.key)
    return SlideResult(folder.root, earlier, skipped=True)


def _segment(
    slide: Slide, model: RunningModel, folder: Store, how: HowToWork, lease: StoreLease, local: Path
) -> Manifest:
    """Work in a local folder, then send the results; pieces are sent meanwhile, and at a failure."""
    begun = describe(slide, model)
    name = pieces.pieces_folder(begun.key)
    pieces.discard(folder, but=name)
    _write_manifest(folder, begun)

    def take_up(work_folder: Path) -> None:
        taken = pieces.take_up(folder / name, work_folder)
        sender.known.update(pieces.markers(work_folder))
        if taken:
            _LOG.info("%s: %d windows taken up from %s", slide.path, taken, folder.root)

    sender = _Sender(local / work.WORK_FOLDER, folder / name, lease)
    with _sending(sender):
        result = segment_slide(slide, model, local, how.settings, progress=how.progress, take_up=take_up)
    for file in work.RESULTS:
        lease.check()
        _send_result(local / file, folder, result.manifest.files[file])
    lease.check()
    _write_manifest(folder, result.manifest)
    pieces.discard(folder)
    return result.manifest


class _Sender:
    """Sends windows that were finished since the last time.

    Attributes:
        known: windows that the store has.
    """

    def __init__(self, work_folder: Path, folder: Store, lease: StoreLease) -> None:
        self.known: set[str] = set()
        self._work, self._folder, self._lease, self._count = work_folder, folder, lease, 0

    def send(self) -> bool:
        """Send what is new; a store that is away for a moment is no matter. True: go on."""
        try:
            new = pieces.markers(self._work) - self.known
            if not new:
                return True
            pieces.send(self._work, new, self._folder, f"{self._lease.token}-{self._count:06}")
        except (HistocerbError, OSError) as error:
            _LOG.warning("finished windows could not be sent yet: %s", error)
            return True
        self._count += 1
        self.known |= new
        return True


@contextmanager
def _sending(sender: _Sender) -> Iterator[None]:
    """Send pieces in the background, and once more where the block fails."""
    try:
        with every(SEND_S, sender.send, "histocerb-send"):
            yield
    except BaseException:
        sender.send()
        raise


def _send_result(file: Path, folder: Store, expected: dict[str, int]) -> None:
    folder.upload(file, file.name)
    found = folder.ends(file.name)
    if found != expected:
        raise OutputError(
            f"expected {folder.root / file.name} as it was sent ({expected}), found {found}; run the same "
            "command again, and look after the store if it happens again"
        )


def stored_manifest(folder: Store) -> Manifest | None:
    """The manifest of a slide in a store; None where there is none.

    Raises:
        OutputError: It is damaged.
    """
    content = folder.read(MANIFEST_FILE)
    return None if content is None else parse_manifest(content, str(folder.root / MANIFEST_FILE))


def _write_manifest(folder: Store, manifest: Manifest) -> None:
    folder.write(MANIFEST_FILE, json_text(asdict(manifest)).encode())


def _tell_failure(folder: Store, lease: StoreLease, begun: Manifest, error: Exception) -> None:
    """Say in the store that the slide failed, if it is still in the work of this process."""
    with suppress(HistocerbError):
        lease.check()
        _write_manifest(folder, replace(begun, status=Status.FAILED, error=str(error)))


def is_intact(folder: Store, name: str, expected: dict[str, int] | None) -> bool:
    """True where a file in a store is as its manifest says."""
    return expected is not None and folder.ends(name) == expected
