"""Layers: published or drawn maps of grids, read from GeoJSON with nothing lost in silence.

Pure: bytes in, checked and repaired boundaries and a report out; no database, no clock.
"""

from app.grids.layers import shapes
from app.grids.layers.codes import Code
from app.grids.layers.coverage import Coverage, Hole, Overlap, coverage
from app.grids.layers.findings import Finding, LayerRefused, LayerTangled, LayerTooLarge
from app.grids.layers.raw import Limits
from app.grids.layers.reading import FeatureReport, Layer, LayerFeature, Verdict, read_layer

__all__ = [
    "Code",
    "Coverage",
    "FeatureReport",
    "Finding",
    "Hole",
    "Layer",
    "LayerFeature",
    "LayerRefused",
    "LayerTangled",
    "LayerTooLarge",
    "Limits",
    "Overlap",
    "Verdict",
    "coverage",
    "read_layer",
    "shapes",
]
