"""What the product says to people: two languages, whole sentences, no blank left open."""

import ast
import importlib
import pkgutil
import re
import string
from collections.abc import Iterator

import pytest

import app
from app.core.errors import Problem
from app.core.i18n import Lang, Words
from app.core.parameters import Parameter
from app.grids.layers import Code
from tests.house.test_house import sources

CHINESE = r"\u3400-\u9fff\u3000-\u303f\uff01-\uff60"
# Half-width punctuation that touches a Chinese character or stands between two blanks; what
# belongs to a notation, as in `fibre:3; copper` or 08:30, is left alone.
HALF_WIDTH = re.compile(rf"[{CHINESE}][,;:?!()]|[,;:?!()][{CHINESE}]|\}}[,;:?!]\{{")


def everything() -> list[type[Problem]]:
    """Every refusal of the product, with all modules imported that may define one."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        importlib.import_module(module.name)
    return [kind for kind in below(Problem) if kind.__module__.startswith("app.")]


def below(kind: type[Problem]) -> Iterator[type[Problem]]:
    yield kind
    for special in kind.__subclasses__():
        yield from below(special)


PROBLEMS = everything()


def blanks(words: Words, lang: Lang) -> set[str]:
    """The names of the facts that a sentence has blanks for."""
    return {name for _, name, _, _ in string.Formatter().parse(words.say(lang)) if name}


def check(words: Words) -> None:
    """Check that words are said in both languages, with the same facts and full-width signs."""
    assert re.search(r"[\u4e00-\u9fff]", words.zh), f"not Chinese: {words.zh}"
    assert not HALF_WIDTH.search(words.zh), f"write ，；：？！（） in Chinese: {words.zh}"
    assert words.en.strip(), f"no English beside {words.zh}"
    assert not re.search(f"[{CHINESE}]", words.en), f"not English: {words.en}"
    # A cause that is itself said in two languages, {why_zh} and {why_en}, is one fact.
    zh = {re.sub("(^|_)zh$", "", name) for name in blanks(words, "zh")}
    en = {re.sub("(^|_)en$", "", name) for name in blanks(words, "en")}
    assert zh == en, f"one language tells more than the other: {words}"


def test_there_is_something_to_check():
    assert len(PROBLEMS) > 50
    assert len(Parameter.known) > 20


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
def test_every_refusal_is_said_in_both_languages(kind):
    check(kind.title)
    check(kind.advice)
    assert not blanks(kind.title, "zh"), "a title is the same each time"


def test_a_slug_means_one_refusal():
    known: dict[str, type[Problem]] = {}
    for kind in PROBLEMS:
        if "slug" in vars(kind):
            assert known.setdefault(kind.slug, kind) is kind, f"{kind} and {known[kind.slug]}"


def test_findings_and_parameters_are_said_in_both_languages():
    for words in [code.words for code in Code] + [one.words for one in Parameter.known.values()]:
        check(words)


# --- every sentence, wherever it stands -----------------------------------------------------------


def chinese() -> Iterator[tuple[str, str]]:
    """Every Chinese text that people may read, with its place: not docstrings, not patterns."""
    for place, tree in sources():
        unread = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
        unread += [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile"
        ]
        left_out = {id(part) for node in unread for part in ast.walk(node)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or id(node) in left_out:
                continue
            if isinstance(node.value, str) and re.search(r"[\u4e00-\u9fff]", node.value):
                yield f"{place}:{node.lineno}", node.value


def test_chinese_has_chinese_punctuation():
    texts = list(chinese())
    assert len(texts) > 200
    half = [f"{place}: {text}" for place, text in texts if HALF_WIDTH.search(text)]
    assert not half, "write ，；：？！（） in Chinese:\n" + "\n".join(half)


# --- the facts behind the blanks ------------------------------------------------------------------

# Those that gather their facts themselves are checked where they do it, by the type checker.
BY_NAME = {kind.__name__: kind for kind in PROBLEMS if kind.__init__ is Problem.__init__}


def made() -> Iterator[tuple[str, type[Problem], set[str]]]:
    """Every place in the code that makes a refusal, with the names of the facts it gives."""
    for place, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                kind = BY_NAME.get(ast.unparse(node.func).rpartition(".")[2])
                facts = {word.arg for word in node.keywords}
                if kind is not None and None not in facts:  # None: **facts from elsewhere
                    yield f"{place}:{node.lineno}", kind, {str(name) for name in facts}


def test_whoever_refuses_gives_the_facts_that_the_words_have_blanks_for():
    places = list(made())
    assert len(places) > 100
    missing = [
        f"{place}: {kind.__name__} without {', '.join(sorted(lacking))}"
        for place, kind, facts in places
        if (lacking := (blanks(kind.advice, "zh") | blanks(kind.advice, "en")) - facts)
    ]
    assert not missing, "people would read a dash instead of a fact:\n" + "\n".join(missing)
