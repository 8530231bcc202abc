"""Phones: what operators do with what they keep."""

from typing import Annotated

import typer

from app.core.settings import Settings

sync = typer.Typer(no_args_is_help=True)


@sync.command("begin-anew")
def sync_begin_anew(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let every phone pull everything anew, after the database was put back to an earlier moment.

    A dump that was restored is known without it. Phones keep what they have not sent.
    """
    from app.sync.command import begin_anew

    if not yes:
        typer.confirm(
            "所有手机将重新全量同步，未上传的操作会保留。继续？\n"
            "Every phone will pull everything anew; what is unsent is kept. Go on?",
            abort=True,
        )
    print(f"epoch: {begin_anew(Settings())}")
