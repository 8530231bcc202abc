"""What the demo's catalogue lets technicians say is known to be so, or begins with an if."""

import re

import yaml

from seed.city import HERE

# What nobody has measured, counted or promised when a talk track is read aloud; and prices, which
# are said in a sentence of their own that no text can gainsay.
UNKNOWN = re.compile(
    r"刚才|测到|已用满|只有一格|小时内|我现在就|\d+ ?元|\d+ yuan|one bar|fills your|right now",
    re.IGNORECASE,
)


def test_no_talk_track_says_what_nobody_knows_or_what_it_costs():
    document = yaml.safe_load((HERE / "catalog.yaml").read_text(encoding="utf-8"))
    said = [
        (entry["code"], track)
        for entry in document["offerings"]
        # What was said of a version that is over stays what it was.
        if str(entry.get("valid_from", document["valid_from"])) >= "2026"
        for track in entry["talk_track"].values()
    ]
    assert len(said) >= 40
    assert [one for one in said if UNKNOWN.search(one[1])] == []
