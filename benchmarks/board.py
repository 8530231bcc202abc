"""The board of 300 technicians in the middle of a working day, on a short and on a long past.

Asked whole, again when nothing has changed, for one technician, and packed; beside it the board
one would write first, by a statement alone (`handwritten_board`). They are asked in turns.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from uuid import UUID

import psycopg

from app.auth.rules import Role
from benchmarks import history, load
from benchmarks.day import ratio
from benchmarks.history import NOW, Province
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Server, Stand, settle

PATH = "/v1/board"
WHOLE, PACKED, AGAIN, ONE, THEIRS = (
    "whole",
    "whole, packed",
    "nothing has changed",
    "one technician",
    "hand-written",
)


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    short: Province
    long: Province
    requests: int
    rounds: int


FULL = Plan(
    Province(50_000, technicians=300, customers=10_000),
    Province(1_000_000, technicians=300, customers=10_000),
    requests=20,
    rounds=5,
)
QUICK = Plan(
    Province(500, technicians=40, customers=1_000),
    Province(5_000, technicians=40, customers=1_000),
    requests=2,
    rounds=1,
)

# Everybody works from eight to six with an hour's rest and lives some way off; one in thirty is on
# leave. The day's orders have their events and their places in routes, every fiftieth is pinned,
# and as many as a tenth of the technicians wait for somebody.
_SCENE = """
UPDATE technician SET home_point = ST_SetSRID(ST_MakePoint(
    114 + abs(hashtext(code)) % 1000 / 1e3, 22.5 + abs(hashtext(code)) % 997 / 1e3), 4326);
INSERT INTO shift (id, technician_id, weekday, starts_at, ends_at)
SELECT gen_random_uuid(), id, weekday, part.begins, part.ends
FROM technician, generate_series(0, 6) AS weekday,
    (VALUES (time '08:00', time '12:00'), (time '13:00', time '18:00')) AS part (begins, ends);
INSERT INTO leave (id, technician_id, starts_at, ends_at, cause)
SELECT gen_random_uuid(), id, '2026-03-01 16:00Z', '2026-03-02 16:00Z', 'training'
FROM technician WHERE abs(hashtext(code)) % 30 = 0;
INSERT INTO work_order_event (id, work_order_id, at, step, from_state, to_state, technician_id)
SELECT gen_random_uuid(), o.id, o.received_at + steps.after, steps.step, steps.was, steps.becomes,
    o.holder_id
FROM work_order o, (VALUES
    (0, interval '0 s', NULL, NULL, 'received'),
    (1, interval '1 s', 'assign', 'located', 'assigned'),
    (2, interval '30 min', 'acknowledge', 'assigned', 'acknowledged'),
    (3, interval '60 min', 'travel', 'acknowledged', 'en_route'),
    (4, interval '80 min', 'check_in', 'en_route', 'on_site'),
    (5, interval '140 min', 'complete', 'on_site', 'completed')
) AS steps (number, after, step, was, becomes)
WHERE o.planned_day >= '2026-03-01' AND steps.number <= CASE o.state WHEN 'assigned' THEN 1
    WHEN 'acknowledged' THEN 2 WHEN 'on_site' THEN 4 WHEN 'suspended' THEN 4 ELSE 5 END;
INSERT INTO technician_day (technician_id, day, committed_minutes, orders, route)
SELECT holder_id, '2026-03-02', sum(estimated_minutes), count(*), array_agg(id ORDER BY random())
FROM work_order WHERE state IN ('assigned', 'acknowledged', 'on_site', 'suspended') GROUP BY 1;
INSERT INTO dispatch_pin (work_order_id, technician_id, day, at, reason)
SELECT id, holder_id, '2026-03-02', now(), '' FROM work_order
WHERE state = 'acknowledged' AND abs(hashtext(external_id)) % 50 = 0;
INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type, state,
    unplaced_reason, address, summary, estimated_minutes, reported_at, received_at)
SELECT gen_random_uuid(), org_unit_id, 'made', 'U-' || code, '', 'repair', 'unplaced', 'no_grid',
    '幸福路1号2栋3单元', '', 60, now(), now()
FROM technician WHERE abs(hashtext(code)) % 10 = 0
"""


@dataclass
class Samples:
    """What one way of asking took by round, in seconds a request, and the bytes of an answer."""

    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    size: int = 0


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    urls: dict[int, str] = {}
    with stand.progress() as progress:
        for province in (plan.short, plan.long):
            past = province.past
            task = progress.add_task(f"writing {past:,} past orders", total=province.orders())
            urls[past] = stand.database(f"board_{past}")
            history.write(urls[past], province, partial(progress.advance, task))
            options = "-c session_replication_role=replica"
            with psycopg.connect(urls[past], options=options) as connection:
                connection.execute(_SCENE)
            settle(urls[past])
    with psycopg.connect(urls[plan.short.past]) as connection:
        row = connection.execute("SELECT id, path FROM org_unit WHERE level = 'city'").fetchone()
        someone = connection.execute("SELECT id FROM technician ORDER BY code LIMIT 1").fetchone()
    assert row is not None and someone is not None
    with ExitStack() as servers:
        running = {
            (past, ours): servers.enter_context(
                stand.server(
                    f"board-{'ours' if ours else 'theirs'}-{past}",
                    url,
                    NOW,
                    *(() if ours else ("-m", "benchmarks.handwritten_board")),
                )
            )
            for past, url in urls.items()
            for ours in (True, False)
        }
        samples: dict[tuple[int, str], Samples] = {}
        with stand.progress() as progress:
            total = plan.rounds * len(urls) * 5 * plan.requests
            task = progress.add_task("asking for boards", total=total)
            for number in range(plan.rounds + 1):
                token = stand.token(Role.SUPERVISOR, row[0], row[1])
                for (past, ours), server in list(running.items())[:: -1 if number % 2 else 1]:
                    for what, prepared in _asks(token, someone[0], ours):
                        # Round 0 is not counted: statements are prepared and pages read.
                        kept = samples.setdefault((past, what), Samples()) if number else Samples()
                        advance = partial(progress.advance, task) if number else _nothing
                        await _ask(server, prepared, what, plan.requests, kept, advance)
    for past in urls:
        stand.drop(f"board_{past}")
    return _report(stand, plan, samples)


def _nothing(count: int) -> None:
    """Do not count what is not measured."""


def _asks(token: str, technician_id: UUID, ours: bool) -> list[tuple[str, bytes]]:
    def ask(query: str = "", accept: str = "identity") -> bytes:
        return load.request("GET", f"{PATH}{query}", token=token, accept_encoding=accept)

    if not ours:
        return [(THEIRS, ask())]
    return [
        (WHOLE, ask()),
        (PACKED, ask(accept="gzip")),
        (AGAIN, ask()),
        (ONE, ask(f"?technician_id={technician_id}&part=technicians")),
    ]


async def _ask(
    server: Server,
    prepared: bytes,
    what: str,
    requests: int,
    kept: Samples,
    done: Callable[[int], None],
) -> None:
    expect: tuple[int, ...] = (200,)
    first = await load.run(server.port, [prepared], connections=1, keep_replies=True)
    if what == AGAIN:
        # The tag holds for a minute; when one passes meanwhile, the whole is sent once.
        tag = first.replies[0].header("etag")
        prepared = prepared[:-2] + f"if-none-match: {tag}\r\n\r\n".encode()
        expect = (200, 304)
    cpu = server.cpu() + server.backends_cpu()
    timing = await load.run(
        server.port, [prepared] * requests, connections=1, expect=expect, done=done
    )
    kept.cpu.append((server.cpu() + server.backends_cpu() - cpu) / requests)
    kept.p50.append(timing.percentile(0.5))
    kept.p95.append(timing.percentile(0.95))
    kept.size = len(first.replies[0].body)


def _report(stand: Stand, plan: Plan, samples: dict[tuple[int, str], Samples]) -> list[Figure]:
    short, long = plan.short.past, plan.long.past
    rows = []
    for what in (WHOLE, PACKED, AGAIN, ONE, THEIRS):
        for past in (short, long):
            one = samples[past, what]
            rows.append(
                [
                    f"{what}, {past:,} past",
                    milliseconds(median(one.cpu)),
                    milliseconds(median(one.p50)),
                    milliseconds(median(one.p95)),
                    "0" if what == AGAIN else f"{one.size / 1024:,.0f}",
                ]
            )
    against = ratio(samples[long, WHOLE].cpu, samples[long, THEIRS].cpu)
    rows.append(["  ratio of whole to hand-written", shown(against), "", "", ""])
    table(
        stand.console,
        f"Board of {plan.long.technicians} technicians: ms a request, one connection, medians of "
        f"{plan.rounds} rounds",
        ["", "CPU, API and PostgreSQL", "p50", "p95", "KiB"],
        rows,
    )
    whole = samples[long, WHOLE]
    return [
        Figure("board of 300 technicians, p95", median(whole.p95) * 1000, "ms", at_most=150),
        Figure("the same, CPU", median(whole.cpu) * 1000, "ms", at_most=150),
        Figure(
            "the same, CPU",
            ratio(whole.cpu, samples[short, WHOLE].cpu),
            f"x {short:,} past",
            at_most=1.2,
        ),
    ]
