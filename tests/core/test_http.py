"""What every request meets before any door opens."""

import pytest

from app.core.http import MOST_BYTES

PIECE = b" " * (1 << 20)


@pytest.mark.parametrize("path", ["/v1/grid-changes/preview", "/v1/work-orders"])
async def test_a_body_is_read_no_farther_than_it_may_weigh(http, path):
    sent = 0

    async def body():
        nonlocal sent
        while sent < 4 * MOST_BYTES:
            sent += len(PIECE)
            yield PIECE

    answer = await http.post(path, content=body(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    problem = answer.json()
    assert problem["type"].endswith(":too-large")
    assert problem["facts"] == {"limit": f"{MOST_BYTES} bytes"}
    assert sent <= MOST_BYTES + 2 * len(PIECE)
