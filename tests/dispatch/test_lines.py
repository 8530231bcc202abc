"""Cutting a stream into lines, however its chunks fall."""

from hypothesis import given
from hypothesis import strategies as st

from app.dispatch.lines import Line, LineCutter, LineStream

LONGEST = 8


def cut(chunks: list[bytes], longest: int = LONGEST) -> list[Line]:
    cutter = LineCutter(longest)
    lines = [line for chunk in chunks for line in cutter.feed(chunk)]
    return [*lines, *cutter.end()]


def test_lines_and_their_numbers():
    assert cut([b"one\n", b"two\r\n", b"\n", b"   \n", b"five"]) == [
        Line(1, b"one"),
        Line(2, b"two"),
        Line(5, b"five"),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_line():
    assert cut([b"\xef\xbb\xbfone\ntwo"]) == [Line(1, b"one"), Line(2, b"two")]


def test_a_line_that_is_too_long_is_named_and_loses_no_other():
    assert cut([b"one\n123456789\nthree"]) == [Line(1, b"one"), Line(2, None), Line(3, b"three")]


def test_nothing_of_a_line_that_is_too_long_is_kept():
    cutter = LineCutter(LONGEST)
    for _ in range(100):
        assert list(cutter.feed(b"x" * 1000)) == []
        assert len(cutter._rest) <= LONGEST
    assert list(cutter.feed(b"\nnext\n")) == [Line(1, None), Line(2, b"next")]
    assert list(cutter.end()) == []


def test_a_last_line_that_is_too_long_is_named_as_well():
    assert cut([b"one\n", b"123456789"]) == [Line(1, b"one"), Line(2, None)]


@given(st.binary(max_size=200), st.lists(st.integers(1, 30), max_size=60))
def test_how_the_chunks_fall_makes_no_difference(body, sizes):
    chunks, rest = [], body
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert cut([*chunks, rest]) == cut([body])


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=20))
def test_every_line_is_given_once_or_named_or_blank(lines):
    found = {line.number: line.text for line in cut([b"\n".join(lines)])}
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if len(line) > LONGEST:
            assert number in found
            assert found.pop(number) is None
        elif text:
            assert found.pop(number) == text
    assert not found


async def test_lines_beyond_the_most_are_counted_but_not_given():
    async def chunks():
        for number in range(1, 11):
            yield b"line %d\n" % number

    stream = LineStream(chunks(), longest=100, most=4)
    assert [line.number async for line in stream] == [1, 2, 3, 4]
    assert (stream.first_beyond, stream.last_beyond) == (5, 10)
