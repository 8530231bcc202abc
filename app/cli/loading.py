"""Files of an operator, loaded as a whole or not at all."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.core.settings import Settings

cli = typer.Typer()


class Kind(StrEnum):
    """What a file for `yingwei load` is about."""

    TECHNICIANS = "technicians"
    CUSTOMERS = "customers"
    ADDRESSES = "addresses"
    SUBSCRIPTIONS = "subscriptions"
    MONTHS = "months"
    CONTACTS = "contacts"
    TERMINALS = "terminals"
    LEAVERS = "leavers"
    CATALOGUE = "catalogue"
    WORK_TYPES = "work-types"
    PROMISE_RULES = "promise-rules"
    FOLLOW_UP_RULES = "follow-up-rules"
    TOOLKITS = "toolkits"
    CARE_RULES = "care-rules"
    STOP_RULES = "stop-rules"
    WORKING_HOURS = "working-hours"
    CALENDAR = "calendar"
    ESCALATION_RULES = "escalation-rules"
    SLOTS = "slots"
    PARAMETERS = "parameters"
    ROAD_MAP = "road-map"
    CHURN_CARDS = "churn-cards"
    GATES = "gates"
    LEVERS = "levers"
    CAMPAIGNS = "campaigns"


@cli.command()
def load(
    kind: Annotated[Kind, typer.Argument(help="What the file is about.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or YAML.")],
    encoding: Annotated[str, typer.Option(help="gb18030 for CSV from a spreadsheet.")] = "utf-8",
    skip_refused: Annotated[bool, typer.Option(help="Load the good lines alone.")] = False,
) -> None:
    """Load a file in one transaction: all of it, or nothing and each bad line named."""
    from seed.command import load_file

    load_file(Settings(), kind.value, file, encoding=encoding, skip_refused=skip_refused)
