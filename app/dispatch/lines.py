"""Cutting a stream of bytes into lines, without ever holding more than one line too many."""

from collections.abc import Iterator
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
