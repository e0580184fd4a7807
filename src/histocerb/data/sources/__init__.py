"""Public data sets and a user's own: one function each, from a folder as it comes to entries."""

from __future__ import annotations

from histocerb.data.sources import (
    conic,
    consep,
    crag,
    crchistophenotypes,
    digestpath,
    geojson,
    glas,
    lizard,
    monuseg,
    pannuke,
    plain,
    result,
    tissue_folders,
)
from histocerb.data.sources.entry import DataSet

DATA_SETS: dict[str, DataSet] = {
    conic.NAME: conic.DATA_SET,
    consep.NAME: consep.DATA_SET,
    crag.NAME: crag.DATA_SET,
    crchistophenotypes.NAME: crchistophenotypes.DATA_SET,
    digestpath.NAME: digestpath.DATA_SET,
    glas.NAME: glas.DATA_SET,
    lizard.NAME: lizard.DATA_SET,
    monuseg.NAME: monuseg.DATA_SET,
    pannuke.NAME: pannuke.DATA_SET,
    **tissue_folders.DATA_SETS,
    geojson.NAME: geojson.DATA_SET,
    plain.NAME: plain.DATA_SET,
    result.NAME: result.DATA_SET,
}
"""Kinds of folders that can be converted, by short name."""
