"""Wire shapes of releases."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Input, Moment
from app.releases.rules import PLATFORM, VERSION

Version = Annotated[str, StringConstraints(max_length=23, pattern=f"^{VERSION}$")]
Platform = Annotated[str, StringConstraints(max_length=20, pattern=f"^{PLATFORM}$")]
Address = Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[^\s<>]+$")]


class AppReleaseIn(Input):
    """From when on which version is the lowest."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "lowest_version": "3.4.0",
                    "valid_from": "2026-04-01T00:00:00+08:00",
                    "get_it_at": "https://apps.example.org/yingwei",
                }
            ]
        }
    )

    lowest_version: Version
    valid_from: Moment | None = Field(default=None, description="Left out or null: from now on.")
    get_it_at: Address = Field(description="Where the new version is had.")


class AppReleaseOut(Answer):
    """From `valid_from` on, `lowest` is the lowest version of the platform that is served."""

    platform: Platform
    lowest: Version
    valid_from: datetime
    get_it_at: Address
    announced_at: datetime


class AppReleases(Answer):
    """What was said for all platforms, oldest first, also what is for a day to come."""

    releases: Annotated[list[AppReleaseOut], Field(max_length=10_000)]
