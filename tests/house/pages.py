"""Reading the guides: fences, code spans, links, headings, and the exchanges shown as examples."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset|href)=\"([^\"]+)\"")


class Fence(NamedTuple):
    """A fenced block: its language and what stands in it."""

    kind: str
    text: str


class Message(NamedTuple):
    """A request or an answer as it stands in a fence."""

    line: str
    headers: dict[str, str]
    body: str


class Exchange(NamedTuple):
    """A request and the answer that follows it, if one is shown."""

    request: Message
    answer: Message | None


def fences(page: Path) -> list[Fence]:
    """List the fenced blocks of a page."""
    return [Fence(kind, text) for kind, text in FENCE.findall(page.read_text("utf-8"))]


def prose(page: Path) -> str:
    """Read a page without its fences."""
    return FENCE.sub("", page.read_text("utf-8"))


def spans(page: Path) -> list[str]:
    """List what stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def links(page: Path) -> list[str]:
    """List where the links and pictures of a page lead."""
    return [one or other for one, other in LINK.findall(prose(page))]


def headings(page: Path) -> list[tuple[int, str]]:
    """List the headings with their levels."""
    found = re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)
    return [(len(marks), words) for marks, words in found]


def anchors(page: Path) -> set[str]:
    """Give the anchors that the headings of a page get."""
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for _, words in headings(page)}


def message(text: str) -> Message:
    """Read an `http` fence: the first line, the headers, and after a blank line the body."""
    head, _, body = text.partition("\n\n")
    line, *lines = head.strip().splitlines()
    headers = dict(each.split(": ", 1) for each in lines)
    return Message(line, {name.lower(): value for name, value in headers.items()}, body.strip())


def exchanges(page: Path) -> Iterator[Exchange]:
    """Give the examples of a page; an answer shown alone belongs to no request and is left out."""
    waiting: Message | None = None
    for kind, text in fences(page):
        if kind != "http":
            continue
        shown = message(text)
        if re.match(r"[A-Z]+ /", shown.line):
            if waiting:
                yield Exchange(waiting, None)
            waiting = shown
        elif waiting:
            yield Exchange(waiting, shown)
            waiting = None
    if waiting:
        yield Exchange(waiting, None)


def commands(page: Path) -> Iterator[list[str]]:
    """Give every command line that a page shows, in words."""
    for kind, text in fences(page):
        if kind == "sh":
            for line in text.replace("\\\n", " ").splitlines():
                yield line.split()
    for span in spans(page):
        yield span.split()
