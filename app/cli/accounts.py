"""Accounts, before anybody can sign in."""

from typing import Annotated

import typer

from app.core.settings import Settings

cli = typer.Typer()


@cli.command("first-admin")
def first_admin(
    username: str,
    org_code: Annotated[str, typer.Option(help="The top unit's code, such as gd.")],
    org_name_zh: Annotated[str, typer.Option(help="Its Chinese name.")],
    org_name_en: Annotated[str, typer.Option(help="Its English name.")],
    password: Annotated[
        str,
        typer.Option(
            envvar="YINGWEI_ADMIN_PASSWORD",
            prompt=True,
            confirmation_prompt=True,
            hide_input=True,
            help="Asked for when it is not in the environment.",
        ),
    ],
) -> None:
    """Make the top org unit and its first administrator, who can make all the rest."""
    import app.tables  # noqa: F401 - an account's foreign keys reach into rooms above
    from app.auth import command

    made = command.first_admin(
        Settings(),
        username=username,
        password=password,
        org_code=org_code,
        org_name_zh=org_name_zh,
        org_name_en=org_name_en,
    )
    typer.echo(f"{made} can sign in now")


@cli.command()
def token(
    username: str,
    scope: Annotated[str, typer.Option(help="Fewer scopes, separated by spaces.")] = "",
) -> None:
    """Print an access token of an account, for trying the API out; it leaves an audit entry."""
    import app.tables  # noqa: F401 - an account's foreign keys reach into rooms above
    from app.auth import command

    typer.echo(command.token(Settings(), username, scope))
