"""Documents that are written from the code."""

from pathlib import Path
from typing import Annotated

import typer

from app.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

cli = typer.Typer()


@cli.command()
def openapi(
    check: Annotated[bool, typer.Option(help="Only tell whether the file is up to date.")] = False,
) -> None:
    """Write api_docs/openapi.json from the code."""
    import json

    from app.main import create_app

    document = json.dumps(create_app(Settings()).openapi(), ensure_ascii=False, indent=1) + "\n"
    _keep("openapi.json", document, check, "make openapi")


@cli.command()
def problems(
    check: Annotated[bool, typer.Option(help="Only tell whether the file is up to date.")] = False,
) -> None:
    """Write api_docs/problems.md, the catalogue of refusals, from the code."""
    from app.problems import page

    _keep("problems.md", page(), check, "yingwei problems")


def _keep(name: str, document: str, check: bool, writing: str) -> None:
    """Write a file of api_docs, or only compare it with what would be written."""
    path = ROOT / "api_docs" / name
    if not check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(document, encoding="utf-8")
        typer.echo(f"wrote {path.relative_to(ROOT)}")
        return
    if not path.exists() or path.read_text(encoding="utf-8") != document:
        typer.echo(f"api_docs/{name} differs from the code: run `{writing}`", err=True)
        raise typer.Exit(1)
    typer.echo(f"api_docs/{name} equals the code")
