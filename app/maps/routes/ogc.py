"""Doorways of OGC API - Features: what QGIS, GDAL and their like open with no plug-in."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Depends, Path, Query, Request, Response
from pydantic import WithJsonSchema

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.errors import Invalid, NotFound
from app.core.http import Now
from app.core.paging import cut, key_of, token_of
from app.maps.queries import features
from app.maps.queries.features import Feature
from app.maps.rules import ogc
from app.maps.schemas.ogc import (
    CollectionOut,
    Collections,
    Conformance,
    ExtentOut,
    FeatureCollection,
    FeatureOut,
    Landing,
    Link,
    Spatial,
    Temporal,
)

router = Router(prefix="/ogc", tags=["maps"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="grids:read"))]

GRIDS = "grids"


def knows(*names: str) -> Any:
    """Make the dependency that refuses parameters a resource does not know."""

    async def check(request: Request) -> None:
        ogc.check_known((name for name, _ in request.query_params.multi_items()), names)

    return Depends(check)


class GeoJson(Response):
    """An answer of GeoJSON."""

    media_type = ogc.GEOJSON


class OpenApi(Response):
    """An answer of an OpenAPI description."""

    media_type = ogc.OPENAPI


def _link(
    request: Request, path: str, rel: str, title: str, kind: str = "application/json"
) -> Link:
    return Link(href=f"{request.base_url}ogc{path}", rel=rel, type=kind, title=title)


def _here(request: Request, kind: str = "application/json") -> Link:
    return Link(href=str(request.url), rel="self", type=kind, title="This document")


@router.get("", operation_id="ogc_landing", dependencies=[knows()])
async def landing(request: Request, reader: Reader) -> Landing:
    """Begin here: the address to give to QGIS."""
    return Landing(
        title="Yingwei 营维合一",
        description="The grids of your part of the organisation, with their dated boundaries.",
        links=[
            _here(request),
            _link(request, "/api", "service-desc", "The API's description", ogc.OPENAPI),
            _link(request, "/conformance", "conformance", "What of the standard is kept"),
            _link(request, "/collections", "data", "The collections"),
        ],
    )


@router.get("/conformance", operation_id="ogc_conformance", dependencies=[knows()])
async def conformance(reader: Reader) -> Conformance:
    """Say what of the standard is kept."""
    return Conformance(conformsTo=list(ogc.CONFORMS_TO))


@router.get(
    "/api",
    operation_id="ogc_api",
    dependencies=[knows()],
    response_class=OpenApi,
    responses={200: {"content": {ogc.OPENAPI: {"schema": {"type": "object"}}}}},
)
async def api(request: Request, reader: Reader) -> OpenApi:
    """Describe this part of the API by itself, with paths as the standard has them."""
    whole = request.app.openapi()
    paths = {
        path.removeprefix(router.prefix) or "/": operations
        for path, operations in whole["paths"].items()
        if path == router.prefix or path.startswith(f"{router.prefix}/")
    }
    document = {
        **whole,
        "servers": [{"url": f"{request.base_url}ogc"}],
        "paths": paths,
        "components": _needed(whole["components"], paths),
    }
    # QGIS looks here for how many features it may ask for at once, and gets unasked.
    for parameter in paths[f"/collections/{GRIDS}/items"]["get"]["parameters"]:
        if parameter["name"] == "limit":
            usual = {**parameter["schema"], "default": ogc.USUAL_LIMIT}
            document["components"]["parameters"] = {"limit": {**parameter, "schema": usual}}
    return OpenApi(orjson.dumps(document))


def _needed(components: dict[str, Any], paths: Any) -> dict[str, Any]:
    """Gather the components that paths refer to, and those that these refer to."""
    needed: dict[str, Any] = {"securitySchemes": components["securitySchemes"]}
    waiting: list[Any] = [paths]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.values()
            _, _, name = str(node.get("$ref", "")).partition("#/components/")
            if name:
                kind, _, key = name.partition("/")
                if key not in needed.setdefault(kind, {}):
                    needed[kind][key] = components[kind][key]
                    waiting.append(components[kind][key])
        elif isinstance(node, list):
            waiting += node
    return needed


@router.get(
    "/collections",
    operation_id="ogc_collections",
    dependencies=[knows()],
    response_model_exclude_none=True,
)
async def collections(request: Request, reader: Reader, read: Read) -> Collections:
    """List the collections: there is one, of grids."""
    return Collections(links=[_here(request)], collections=[await _grids(request, reader, read)])


@router.get(
    f"/collections/{GRIDS}",
    operation_id="ogc_collection_grids",
    dependencies=[knows()],
    response_model_exclude_none=True,
)
async def collection(request: Request, reader: Reader, read: Read) -> CollectionOut:
    """Describe the collection of grids: where and since when there are any."""
    return await _grids(request, reader, read)


async def _grids(request: Request, reader: Caller, read: Any) -> CollectionOut:
    box, since = await features.extent(read, reader)
    path = f"/collections/{GRIDS}"
    return CollectionOut(
        id=GRIDS,
        title="Grids 网格",
        description="Who looks after which ground, with boundaries as of any moment.",
        itemType="feature",
        crs=[ogc.CRS84],
        extent=ExtentOut(
            spatial=Spatial(bbox=[list(box)], crs=ogc.CRS84) if box else None,
            temporal=Temporal(interval=[[since, None]], trs=ogc.GREGORIAN) if since else None,
        ),
        links=[
            _link(request, path, "self", "This collection"),
            _link(request, f"{path}/items", "items", "The grids", ogc.GEOJSON),
        ],
    )


# Parameters are taken as text: what is not valid is answered with 400, as the standard wants, and
# not with FastAPI's 422.
Limit = Annotated[
    str | None,
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": ogc.MOST_LIMIT}),
    Query(
        description=f"How many features a page has, {ogc.USUAL_LIMIT} when left out; more than the "
        "maximum gives the maximum."
    ),
]
BBox = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "maxLength": 400, "examples": ["112.5,28.8,112.7,29"]}),
    Query(
        description="Only grids that meet this box in CRS84: west,south,east,north; heights may be "
        "given, too. A west beyond the east crosses the 180th meridian."
    ),
]
DateTime = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "maxLength": 100, "examples": ["2026-03-02T00:00:00Z"]}),
    Query(
        description="Boundaries as they were then: a moment of RFC 3339, or a span "
        "(`2026-01-01T00:00:00Z/..`), for which each grid has the last one it had. Left out: those "
        "in force now."
    ),
]
Token = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "maxLength": 400}),
    Query(description="Where the page before ended; the link `next` has it."),
]


@router.get(
    f"/collections/{GRIDS}/items",
    operation_id="ogc_grids",
    dependencies=[knows("limit", "bbox", "datetime", "page_token")],
    response_class=GeoJson,
    responses={200: {"model": FeatureCollection}},
)
async def items(
    request: Request,
    reader: Reader,
    read: Read,
    now: Now,
    limit: Limit = None,
    bbox: BBox = None,
    datetime: DateTime = None,
    page_token: Token = None,
) -> GeoJson:
    """Read grids as GeoJSON, by code."""
    size = ogc.limit_of(limit)
    found = await features.page(
        read,
        reader,
        boxes=ogc.boxes_of(bbox),
        span=ogc.span_of(datetime),
        after=_after(page_token),
        size=size,
        now=now,
    )
    rows, last = cut(found.features, size)
    links = [
        _here(request, ogc.GEOJSON),
        _link(request, f"/collections/{GRIDS}", "collection", "The collection"),
    ]
    if last is not None:
        following = request.url.include_query_params(page_token=token_of(last.code))
        links.append(Link(href=str(following), rel="next", type=ogc.GEOJSON, title="The next page"))
    return GeoJson(
        orjson.dumps(
            {
                "type": "FeatureCollection",
                "timeStamp": now,
                "numberMatched": found.matched,
                "numberReturned": len(rows),
                "links": [link.model_dump() for link in links],
                "features": [_feature(row) for row in rows],
            },
            option=orjson.OPT_UTC_Z,
        )
    )


@router.get(
    f"/collections/{GRIDS}/items/{{feature_id}}",
    operation_id="ogc_grid",
    dependencies=[knows()],
    response_class=GeoJson,
    responses={200: {"model": FeatureOut}},
)
async def item(
    # Whatever else is asked for is not there; the length is for clients, and no reason to refuse.
    feature_id: Annotated[str, Path(json_schema_extra={"maxLength": 100})],
    request: Request,
    reader: Reader,
    read: Read,
    now: Now,
) -> GeoJson:
    """Read one grid as GeoJSON, with its boundary in force."""
    try:
        grid_id = UUID(feature_id)
    except ValueError:
        raise NotFound(feature_id=feature_id[:100]) from None
    found = await features.one(read, reader, grid_id, now=now)
    if found is None:
        raise NotFound(feature_id=feature_id)
    links = [
        _here(request, ogc.GEOJSON),
        _link(request, f"/collections/{GRIDS}", "collection", "The collection"),
    ]
    feature = {**_feature(found), "links": [link.model_dump() for link in links]}
    return GeoJson(orjson.dumps(feature, option=orjson.OPT_UTC_Z))


def _after(token: str | None) -> str:
    """The code of the last grid of the page before. Raises ParameterRefused."""
    try:
        return str(key_of(token, str)[0]) if token else ""
    except Invalid:
        raise ogc.refused(
            "page_token",
            "请使用上一页的 next 链接。",
            "Follow the link next of the page before.",
        ) from None


def _feature(row: Feature) -> dict[str, Any]:
    properties = row._asdict()
    return {
        "type": "Feature",
        "id": properties.pop("id"),
        "geometry": orjson.Fragment(properties.pop("geometry")),
        "properties": properties,
    }
