"""Cutting a stream of bytes into lines, without ever holding more than one line too many."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """A line of a file and its number, from 1; None for the text of one that is too long."""

    number: int
    text: bytes | None


class LineCutter:
    """Cuts chunks into lines; a line longer than `longest` bytes is named but not kept.

    Lines end with LF or CRLF, the last one with the end of the stream. Blank lines count but are
    not given.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._number = 0
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Give the lines that end within this chunk."""
        *whole, rest = (self._rest + chunk).split(b"\n")
        for text in whole:
            yield from self._line(text)
        if self._skipping or len(rest) > self._longest:
            self._skipping, rest = True, b""
        self._rest = rest

    def end(self) -> Iterator[Line]:
        """Give the last line, if the stream did not end with a line's end."""
        rest, self._rest = self._rest, b""
        if rest or self._skipping:
            yield from self._line(rest)

    def _line(self, text: bytes) -> Iterator[Line]:
        self._number += 1
        skipped, self._skipping = self._skipping, False
        if skipped or len(text) > self._longest:
            yield Line(self._number, None)
            return
        if self._number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        text = text.strip()
        if text:
            yield Line(self._number, text)


class LineStream:
    """The lines of a stream, up to `most` of them; what follows is read to its end but not kept."""

    def __init__(self, chunks: AsyncIterable[bytes], *, longest: int, most: int) -> None:
        self._chunks = chunks
        self._cutter = LineCutter(longest)
        self._most = most
        self.first_beyond: int | None = None
        self.last_beyond = 0

    async def __aiter__(self) -> AsyncIterator[Line]:
        """Give the lines as they arrive."""
        async for chunk in self._chunks:
            for line in self._cutter.feed(chunk):
                if self._within(line):
                    yield line
        for line in self._cutter.end():
            if self._within(line):
                yield line

    def _within(self, line: Line) -> bool:
        if line.number <= self._most:
            return True
        self.first_beyond = self.first_beyond or line.number
        self.last_beyond = line.number
        return False
