"""Whether a remote slide is still the one of a result, without copying it.

Content tells two slides apart, and to see that of a remote one it has to be copied. So its result folder
keeps what the store said of its files before they were copied: while it says the same, the content is the
same. What is replaced between that question and the copy, or later, makes one look again.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from histocerb.inference.cluster.publish import is_intact, stored_manifest
from histocerb.inference.cluster.store import Store
from histocerb.inference.cohort.slides import CohortSlide
from histocerb.inference.manifest import Manifest, RunningModel, Status, result_key
from histocerb.inference.work import RESULTS
from histocerb.slides.remote import RemoteFile
from histocerb.slides.remote_slide import slide_files

SOURCE_FILE = "source.json"


def ask_source(slide: CohortSlide) -> bytes | None:
    """What the store says of all files of a slide; None where the slide has no URL.

    Raises:
        SlideError: There is no such slide, or the store cannot be read.
    """
    if not isinstance(slide.path, RemoteFile):
        return None
    files = [asdict(file) for file in slide_files(slide.path)]
    return json.dumps({"files": files, "mpp": slide.mpp}, indent=2).encode()


def remember_source(said: bytes | None, folder: Store) -> None:
    """Keep beside a result what the store said of its slide, before that was opened."""
    if said is not None:
        folder.write(SOURCE_FILE, said)


def unchanged(slide: CohortSlide, model: RunningModel, folder: Store) -> Manifest | None:
    """The manifest of a complete result of a remote slide that is unchanged; None where one must look.

    Raises:
        SlideError: There is no such slide.
    """
    if not isinstance(slide.path, RemoteFile):
        return None
    manifest = stored_manifest(folder)
    if manifest is None or manifest.status is not Status.DONE:
        return None
    if folder.read(SOURCE_FILE) != ask_source(slide):
        return None
    if manifest.key != result_key(manifest.slide["fingerprint"], manifest.slide["mpp"], model):
        return None
    intact = all(is_intact(folder, name, manifest.files.get(name)) for name in RESULTS)
    return manifest if intact else None
