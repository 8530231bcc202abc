"""Tiles as they leave: packed, kept for whoever asks for the same, and known by their tags."""

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.db import database_of
from app.core.parameter_values import parameters_in_force
from app.maps.queries import tiles
from app.maps.rules.tiles import AT_RISK, LAYERS, POSITION_CELL, LayerName, Tile
from app.maps.rules.windows import window

# What a process keeps of packed tiles: some hundred maps of a province.
SHELF_BYTES = 32 * 2**20
# Packing takes a millisecond for so many bytes; larger tiles are packed in a thread.
_QUICKLY = 32_768
# A degree of latitude; cells of longitude come out a little narrower, which is coarse enough.
_METRES_A_DEGREE = 111_320.0


class Packed(NamedTuple):
    """A tile, packed with gzip (empty: nothing is there), and the tag of exactly these features."""

    tag: str
    body: bytes


class Shelf:
    """The tiles last asked for, by their tags, within so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._tiles: OrderedDict[str, bytes] = OrderedDict()

    def get(self, tag: str) -> bytes | None:
        """Return a tile that is kept."""
        body = self._tiles.get(tag)
        if body is not None:
            self._tiles.move_to_end(tag)
        return body

    def put(self, tag: str, body: bytes) -> None:
        """Keep a tile, and let go of those not asked for longest."""
        self._held += len(body) - len(self._tiles.pop(tag, b""))
        self._tiles[tag] = body
        while self._held > self._most:
            self._held -= len(self._tiles.popitem(last=False)[1])


async def grids_tag(read: AsyncSession, reader: Caller, asked: Tile, *, now: datetime) -> str:
    """Give the tag a tile of grids has now, without making the tile."""
    mark = await tiles.grids_mark(read, now)
    return _hash(f"{mark} {reader.org_path} {asked}".encode())


async def grids_tile(
    read: AsyncSession, reader: Caller, asked: Tile, tag: str, *, now: datetime
) -> Packed:
    """Give a tile of the caller's grids under the tag it was found to have a moment ago."""
    cache = database_of(read).cache
    shelf: Shelf = cache.setdefault("maps.shelf", Shelf(SHELF_BYTES))
    body = shelf.get(tag)
    if body is None:
        body = await _pack(await tiles.grids(read, reader, asked, now))
        shelf.put(tag, body)
    return Packed(tag, body)


async def orders_tile(read: AsyncSession, reader: Caller, asked: Tile, *, now: datetime) -> Packed:
    """Make a tile of the caller's open orders and of those done today."""
    if asked.z < LAYERS[LayerName.ORDERS].least_zoom:
        return Packed(_hash(b""), b"")
    numbers = await parameters_in_force(read)
    minutes = numbers.number(AT_RISK, now, reader.org_path)
    risky = now + timedelta(minutes=minutes)
    made = await tiles.orders(read, reader, asked, window(asked), now=now, risky=risky)
    return Packed(_hash(made), await _pack(made))


async def technicians_tile(
    read: AsyncSession, reader: Caller, asked: Tile, *, now: datetime
) -> Packed:
    """Make a tile of the caller's technicians who are on shift."""
    if asked.z < LAYERS[LayerName.TECHNICIANS].least_zoom:
        return Packed(_hash(b""), b"")
    numbers = await parameters_in_force(read)
    cell = numbers.number(POSITION_CELL, now, reader.org_path) / _METRES_A_DEGREE
    made = await tiles.technicians(read, reader, asked, window(asked), now=now, cell=cell)
    return Packed(_hash(made), await _pack(made))


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


async def _pack(made: bytes) -> bytes:
    if len(made) > _QUICKLY:
        return await asyncio.to_thread(gzip.compress, made, 5, mtime=0)
    return gzip.compress(made, 5, mtime=0) if made else b""
