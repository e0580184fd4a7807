"""Whether a remote slide is still the one of a result, without copying it.

Content tells two slides apart, and to see that of a remote one it has to be copied. So its result folder
keeps what the store said of the file: while it says the same, the content is the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from histocerb.inference.cluster.publish import is_intact, stored_manifest
from histocerb.inference.cluster.store import Store
from histocerb.inference.cohort.slides import CohortSlide
from histocerb.inference.manifest import Manifest, RunningModel, Status, result_key
from histocerb.inference.work import RESULTS
from histocerb.slides.remote import RemoteFile, look

SOURCE_FILE = "source.json"


def remember_source(slide: CohortSlide, folder: Store) -> None:
    """Keep what the store says of a slide that has a URL."""
    if isinstance(slide.path, RemoteFile):
        folder.write(SOURCE_FILE, _said(slide, slide.path))


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
    if folder.read(SOURCE_FILE) != _said(slide, slide.path):
        return None
    if manifest.key != result_key(manifest.slide["fingerprint"], manifest.slide["mpp"], model):
        return None
    intact = all(is_intact(folder, name, manifest.files.get(name)) for name in RESULTS)
    return manifest if intact else None


def _said(slide: CohortSlide, place: RemoteFile) -> bytes:
    file = look(place)
    return json.dumps({"slide": asdict(file), "mpp": slide.mpp}, indent=2).encode()
