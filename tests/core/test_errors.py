"""What a refusal says: in two languages, with its facts filled in."""

from app.core.errors import Problem
from app.core.i18n import Words


class Shut(Problem):
    slug, status = "shut", 409
    title = Words(zh="已关闭", en="It is shut")
    advice = Words(zh="{day} 可去:{doors}。", en="On {day} try: {doors}.")


def test_facts_are_filled_in_and_lists_read_out():
    shut = Shut(day="Monday", doors=["east", "west"])
    assert shut.detail("en") == "On Monday try: east, west."
    assert shut.detail("zh") == "Monday 可去:east、west。"
    assert shut.facts == {"day": "Monday", "doors": ["east", "west"]}


def test_a_fact_that_is_not_known_is_a_dash():
    assert Shut(doors=[]).detail("en") == "On — try: ."
