"""The roof: assembles an application from settings; importing this module touches nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.activation.client import LINE_TEST_SECONDS, ActivationClient
from app.activation.routes import router as activation_router
from app.auth import audit
from app.auth.keys import KeyRing
from app.auth.routes import router as auth_router
from app.board.routes import router as board_router
from app.catalog.routes import router as catalog_router
from app.core import log
from app.core.clock import Clock, clock_from
from app.core.db import Database, open_database
from app.core.health import router as health_router
from app.core.http import Surroundings, install_errors, openapi_of
from app.core.settings import Settings
from app.core.stream import Changes
from app.customers.routes import router as customers_router
from app.dispatch.routes import moves_router
from app.dispatch.routes import router as dispatch_router
from app.evidence.routes import router as evidence_router
from app.evidence.storage import Storage
from app.followups.routes import router as followups_router
from app.grids.address_routes import router as grid_addresses_router
from app.grids.layer_routes import router as layers_router
from app.grids.routes import router as grids_router
from app.lifecycle.routes import router as lifecycle_router
from app.maps.routes import router as maps_router
from app.messaging.routes import router as messaging_router
from app.ordering.breaker import refresh_figures as refresh_breakers
from app.ordering.routes import router as ordering_router
from app.outages.routes import router as outages_router
from app.overdue.routes import router as overdue_router
from app.planning.routes import router as planning_router
from app.policies.routes import router as policies_router
from app.privacy.routes import router as privacy_router
from app.recovery.routes import router as recovery_router
from app.retention.routes import router as retention_router
from app.sales.routes import router as sales_router
from app.suggestions.routes import router as suggestions_router
from app.technicians.routes import router as technicians_router
from app.terminals.routes import router as terminals_router
from app.territory.routes import router as territory_router
from app.tmf.routes import router as tmf_router
from app.visits.routes import router as visits_router
from app.workorders.clock_routes import router as clocks_router
from app.workorders.routes import repeats_router
from app.workorders.routes import router as workorders_router
from app.worktypes.routes import router as worktypes_router

# A request is held against these from first to last, so what is asked most comes first: phones all
# day long, then what becomes of orders. The map's lists of grids come before what the grids take
# for one grid's id.
ROUTERS = (
    visits_router,
    evidence_router,
    moves_router,  # before the orders: `moves` is not the id of one
    dispatch_router,
    workorders_router,
    clocks_router,
    activation_router,
    overdue_router,
    sales_router,
    suggestions_router,
    board_router,
    health_router,
    auth_router,
    technicians_router,
    customers_router,
    lifecycle_router,
    catalog_router,
    terminals_router,
    worktypes_router,
    territory_router,
    layers_router,  # before the grids: `export` is not the id of one
    grids_router,
    grid_addresses_router,
    recovery_router,
    planning_router,
    repeats_router,
    followups_router,
    retention_router,
    outages_router,
    ordering_router,
    messaging_router,
    policies_router,
    tmf_router,
    maps_router,
    privacy_router,
)


def create_app(
    settings: Settings, *, clock: Clock | None = None, database: Database | None = None
) -> FastAPI:
    """Make the API application.

    `clock` and `database` are handed in by tests; otherwise they come from the settings and the
    database is opened when serving begins and closed when it ends.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        log.set_up(settings)
        app.state.keys = KeyRing.load(settings.signing_keys)
        app.state.database = database or open_database(settings)
        app.state.database.before_commit = audit.record
        app.state.changes = Changes(app.state.database)
        app.state.evidence = Storage.of(settings)
        app.state.activation = _platform(settings)
        yield
        if app.state.activation is not None:
            await app.state.activation.aclose()
        await app.state.changes.close()
        if database is None:
            await app.state.database.close()

    app = FastAPI(
        title="Yingwei 营维合一",
        version="0.1.0",
        description=(
            "The backend behind the phone of a broadband technician: the right order to the right "
            "person, whom they meet, what serves that customer, and every sale handed to the "
            "ordering system exactly once."
        ),
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.figures = [refresh_breakers]
    app.state.clock = clock or clock_from(settings.clock)
    install_errors(app)
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(Surroundings)
    app.openapi = openapi_of(app)  # type: ignore[method-assign]
    return app


def _platform(settings: Settings) -> ActivationClient | None:
    """Make the way to the activation platform on which technicians test lines, if one is set."""
    if not settings.activation_url:
        return None
    return ActivationClient(
        settings.activation_url,
        token=settings.activation_token.get_secret_value(),
        time_limit=LINE_TEST_SECONDS,
    )
