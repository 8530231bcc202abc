"""Doorways of releases."""

from typing import Annotated

from fastapi import Depends, Path

from app.auth.callers import ANYBODY, Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.releases import queries, service
from app.releases.rules import PLATFORM
from app.releases.schemas import AppReleaseIn, AppReleaseOut, AppReleases

router = Router(prefix="/v1/app-releases", tags=["app releases"])

Anybody = Annotated[Caller, Depends(caller(*ANYBODY, scope="me:read"))]
Admin = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]


@router.get("", operation_id="app_releases_list")
async def list_releases(anybody: Anybody, read: Read) -> AppReleases:
    """Read which versions of the app are served, and which will be.

    An app says which it is in `X-App-Version: android/3.4.1`, with each request. One that is too
    old is answered 426; one that will be is told by the headers `Deprecation` and `Sunset`.
    """
    found = await queries.releases(read)
    return AppReleases(releases=[AppReleaseOut.model_validate(one) for one in found])


@router.put("/{platform}", operation_id="app_releases_announce")
async def announce(
    platform: Annotated[str, Path(max_length=20, pattern=f"^{PLATFORM}$")],
    body: AppReleaseIn,
    admin: Admin,
    tx: Tx,
    now: Now,
) -> AppReleaseOut:
    """Say which version of a platform is the lowest that is served from a moment on.

    Say it weeks before, so that phones can tell their owners. What is unsent on a phone that is too
    old is still taken for some time (`releases.push_grace_days`).
    """
    told = await service.announce(tx, admin, platform, now=now, **body.model_dump())
    return AppReleaseOut.model_validate(told)
