"""A technician's day and the empty poll: processor time a request, beside the hand-written twin.

Four servers run at once, ours and the hand-written one on a short and on a long past. They are
asked in turns, round after round, so that whatever else the machine does falls on all alike.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from benchmarks import history, load
from benchmarks.history import Person, Province
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Server, Stand, settle

PATH = "/v1/my/day"
OURS, THEIRS = "ours", "hand-written"


@dataclass(frozen=True)
class Plan:
    """How much to measure; so many `people` ask."""

    short: Province
    long: Province
    people: int
    requests: int
    rounds: int
    connections: int = 4


FULL = Plan(Province(50_000), Province(2_000_000), people=400, requests=1_200, rounds=9)
QUICK = Plan(
    Province(2_000, technicians=400, customers=1_000),
    Province(20_000, technicians=400, customers=1_000),
    people=40,
    requests=120,
    rounds=3,
)


@dataclass
class Samples:
    """What one server needed in each round, in seconds a request."""

    api: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)

    def both(self) -> list[float]:
        """Processor time of server and PostgreSQL together."""
        return [one + other for one, other in zip(self.api, self.postgres, strict=True)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median over the rounds of one figure's ratio to another of the same round."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    urls = {}
    with stand.progress() as progress:
        for province in (plan.short, plan.long):
            past = province.past
            task = progress.add_task(f"writing {past:,} past orders", total=province.orders())
            urls[past] = stand.database(f"day_{past}")
            history.write(urls[past], province, partial(progress.advance, task))
            settle(urls[past])
    with ExitStack() as servers:
        running = {
            (past, kind): servers.enter_context(
                stand.server(
                    f"{kind}-{past}",
                    urls[past],
                    history.NOW,
                    *(("-m", "benchmarks.handwritten") if kind == THEIRS else ()),
                )
            )
            for past in urls
            for kind in (OURS, THEIRS)
        }
        people = history.people(urls[plan.short.past], plan.people)
        await _same_answers(stand, running, people[:20])
        with stand.progress() as progress:
            total = plan.rounds * len(running) * (2 * plan.requests + len(people))
            task = progress.add_task("asking in turns", total=total)
            advance = partial(progress.advance, task)
            samples = await _rounds(stand, plan, running, people, advance)
    for past in urls:
        stand.drop(f"day_{past}")
    return _report(stand, plan, samples)


async def _same_answers(
    stand: Stand, running: dict[tuple[int, str], Server], people: Sequence[Person]
) -> None:
    """Make sure that the twin does the same job: the same answer, the same entity tag."""
    orders = size = 0
    for past in {past for past, _ in running}:
        for person in people:
            ask = load.request("GET", PATH, token=history.token(stand, person))
            ours, theirs = [
                (
                    await load.run(
                        running[past, kind].port, [ask], connections=1, keep_replies=True
                    )
                ).replies[0]
                for kind in (OURS, THEIRS)
            ]
            if ours.json() != theirs.json() or not ours.header("etag"):
                raise AssertionError(f"the twin answers otherwise:\n{ours.body!r}\n{theirs.body!r}")
            orders += len(ours.json()["orders"])
            size += len(ours.body)
    answers = len(people) * 2
    stand.console.print(
        f"Both give the same answers: {orders / answers:.1f} orders, "
        f"{size / answers / 1024:.1f} KiB a day.",
        highlight=False,
    )


async def _rounds(
    stand: Stand,
    plan: Plan,
    running: dict[tuple[int, str], Server],
    people: Sequence[Person],
    done: Callable[[int], None],
) -> dict[tuple[int, str, str], Samples]:
    samples = {
        (past, kind, what): Samples() for past, kind in running for what in ("day", "empty poll")
    }
    for number in range(plan.rounds):
        tokens = [history.token(stand, person) for person in people]
        # Every other round goes the other way, so that nobody always comes after the same one.
        turn = list(running.items())[:: -1 if number % 2 else 1]
        for (past, kind), server in turn:
            asks = [load.request("GET", PATH, token=token) for token in tokens]
            # Not measured: tokens are proved, statements prepared, pages read.
            first = await load.run(
                server.port, asks, connections=plan.connections, keep_replies=True, done=done
            )
            tags = [reply.header("etag") for reply in first.replies]
            polls = [
                load.request("GET", PATH, token=token, if_none_match=tag)
                for token, tag in zip(tokens, tags, strict=True)
            ]
            for what, prepared, status in (("day", asks, 200), ("empty poll", polls, 304)):
                wanted = [prepared[place % len(prepared)] for place in range(plan.requests)]
                api, postgres = server.cpu(), server.backends_cpu()
                timing = await load.run(
                    server.port,
                    wanted,
                    connections=plan.connections,
                    expect=(status,),
                    done=done,
                )
                sample = samples[past, kind, what]
                sample.api.append((server.cpu() - api) / plan.requests)
                sample.postgres.append((server.backends_cpu() - postgres) / plan.requests)
                sample.p50.append(timing.percentile(0.5))
                sample.p95.append(timing.percentile(0.95))
    return samples


def _report(stand: Stand, plan: Plan, samples: dict[tuple[int, str, str], Samples]) -> list[Figure]:
    short, long = plan.short.past, plan.long.past
    rows = []
    for what in ("day", "empty poll"):
        for past in (short, long):
            ours, theirs = samples[past, OURS, what], samples[past, THEIRS, what]
            for kind, sample in ((OURS, ours), (THEIRS, theirs)):
                rows.append(
                    [
                        f"{what}, {past:,} past, {kind}",
                        milliseconds(median(sample.api)),
                        milliseconds(median(sample.postgres)),
                        milliseconds(median(sample.both())),
                        milliseconds(median(sample.p50)),
                        milliseconds(median(sample.p95)),
                    ]
                )
            rows.append(
                [
                    "  ratio",
                    shown(ratio(ours.api, theirs.api)),
                    shown(ratio(ours.postgres, theirs.postgres)),
                    shown(ratio(ours.both(), theirs.both())),
                    shown(ratio(ours.p50, theirs.p50)),
                    shown(ratio(ours.p95, theirs.p95)),
                ]
            )
    table(
        stand.console,
        f"My day: ms a request, {plan.connections} connections, medians of {plan.rounds} rounds",
        ["", "API CPU", "PostgreSQL CPU", "both", "p50", "p95"],
        rows,
    )
    table(
        stand.console,
        f"{long:,} past orders against {short:,}: ratios",
        ["", "API CPU", "PostgreSQL CPU", "both", "p50", "p95"],
        [
            [f"{what}, {kind}"]
            + [
                shown(ratio(getattr(late, name), getattr(early, name)))
                for name in ("api", "postgres")
            ]
            + [shown(ratio(late.both(), early.both()))]
            + [shown(ratio(getattr(late, name), getattr(early, name))) for name in ("p50", "p95")]
            for what in ("day", "empty poll")
            for kind in (OURS, THEIRS)
            for early in [samples[short, kind, what]]
            for late in [samples[long, kind, what]]
        ],
    )
    figures = []
    for what in ("day", "empty poll"):
        ours, theirs = samples[long, OURS, what], samples[long, THEIRS, what]
        figures.append(
            Figure(f"{what}, API CPU", ratio(ours.api, theirs.api), "x hand-written", at_most=2.5)
        )
        early = samples[short, OURS, what]
        figures.append(
            Figure(
                f"{what}, API and PostgreSQL CPU",
                ratio(ours.both(), early.both()),
                f"x {short:,} past",
                at_most=1.2,
            )
        )
    return figures
