"""Customers: their data, where they stand, and who decides what they are offered."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from app.core.settings import Settings
from app.suggestions.rules.model import PolicyState

privacy = typer.Typer(no_args_is_help=True)
lifecycle = typer.Typer(no_args_is_help=True)
policy = typer.Typer(no_args_is_help=True)


AsAdmin = Annotated[str, typer.Option("--as", help="The administrator in whose name it is done.")]
Purpose = Annotated[str, typer.Option("--reason", help="Why, as it is written down.")]


@privacy.command("export")
def privacy_export(code: str, as_: AsAdmin, reason: Purpose) -> None:
    """Print everything that is kept of a customer, given by code, as one JSON document."""
    from app.privacy.command import export

    print(export(Settings(), username=as_, code=code, reason=reason).decode())


@privacy.command("erase")
def privacy_erase(code: str, as_: AsAdmin, reason: Purpose) -> None:
    """Make everything that is kept of a customer nobody's; refused while they are served."""
    from app.privacy.command import erase

    told = erase(Settings(), username=as_, code=code, reason=reason)
    for table, count in sorted(told["rows"].items()):
        print(f"{table}: {count}")


@privacy.command("sweep")
def privacy_sweep() -> None:
    """End what has been kept long enough, in small batches. Workers do it once a day."""
    from app.privacy.command import sweep

    for name, count in sweep(Settings()).items():
        print(f"{name}: {count}")


@lifecycle.command("run")
def lifecycle_run() -> None:
    """Tell now where all customers stand; workers do the same every night."""
    from app.lifecycle import command

    command.run(Settings())


By = Annotated[str, typer.Option(help="The administrator in whose name it is done.")]
Why = Annotated[str, typer.Option(help="Why; it is kept with the step.")]


@policy.command("list")
def policy_list() -> None:
    """Print who decides about offers now, what has drifted, and the latest models."""
    from app.policies.command import show

    show(Settings())


@policy.command("learn")
def policy_learn(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Learn from the answers up to the last night, judge what came of it, and add up the days.

    Workers start the same by themselves at night; whoever finds the night done does nothing.
    A part that fails keeps no other from being done; the exit code is 1 then, and the next call
    tries it again.
    """
    from app.policies.command import learn

    if learn(Settings(), quiet=quiet).failed:
        raise typer.Exit(1)


@policy.command("evaluate")
def policy_evaluate(
    version: Annotated[str, typer.Argument(help="As `list` prints it.")],
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="A local day; a season without."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="The day after the last; now without."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all figures, in the shape of the API.")
    ] = False,
) -> None:
    """Print what a model would have earned on a part of the log, beside the one in force.

    Where the model waits to be judged already, the figures are those, on the days asked for then.
    """
    from app.policies.command import evaluate

    if since and until and since >= until:
        raise typer.BadParameter("--from has to lie before --until")
    evaluate(
        Settings(),
        version,
        since=since and since.date(),
        until=until and until.date(),
        as_json=as_json,
    )


@policy.command("groups")
def policy_groups(
    month: Annotated[
        datetime | None,
        typer.Option("--month", formats=["%Y-%m"], help="Which month; this one without."),
    ] = None,
) -> None:
    """Print what groups of customers were offered, accepted and cancelled in a month."""
    from app.policies.command import groups

    groups(Settings(), month and month.date())


@policy.command("work-out", hidden=True)
def policy_work_out(evaluation_id: str) -> None:
    """Work out an evaluation that waits: what a worker starts as a process of its own."""
    from app.policies.command import work_out

    work_out(Settings(), UUID(evaluation_id))


@policy.command("promote")
def policy_promote(
    version: Annotated[str, typer.Argument(help="As `list` prints it.")],
    to: Annotated[PolicyState, typer.Argument(help="Where it shall stand.")],
    by: By,
    reason: Why,
) -> None:
    """Let a model take its next step, or retire it; a second person agrees by the same command."""
    from app.policies.command import promote

    typer.echo(promote(Settings(), version, to, reason, by))


@policy.command("switch")
def policy_switch(
    rules_only: Annotated[
        bool, typer.Option("--rules-only/--policies", help="Who decides from now on.")
    ],
    by: By,
) -> None:
    """Let the rules alone decide for everybody from now on, or the policies again."""
    from app.policies.command import switch

    typer.echo(switch(Settings(), rules_only, by))
