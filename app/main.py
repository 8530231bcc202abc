"""The roof: assembles an application from settings; importing this module touches nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.activation.client import LINE_TEST_SECONDS, ActivationClient
from app.activation.routes import router as activation_router
from app.alerts.client import sealer_of
from app.alerts.routes import router as alerts_router
from app.auth import audit
from app.auth.keys import KeyRing
from app.auth.routes import router as auth_router
from app.board.routes import router as board_router
from app.catalog.routes import router as catalog_router
from app.commissions.routes import router as commissions_router
from app.console.routes import router as console_router
from app.core import log
from app.core.clock import Clock, clock_from
from app.core.db import Database, open_database
from app.core.doorways import editable
from app.core.health import router as health_router
from app.core.http import install_errors
from app.core.openapi import openapi_of
from app.core.settings import Settings
from app.core.stream import Changes
from app.core.surroundings import PACKED_AT, PACKED_FROM, Surroundings
from app.core.unchanged import Packing
from app.customers.routes import router as customers_router
from app.devices.phones import Seen
from app.devices.queries import to_empty
from app.devices.routes import router as devices_router
from app.dispatch.routes import moves_router
from app.dispatch.routes import router as dispatch_router
from app.evidence.routes import router as evidence_router
from app.evidence.storage import Storage
from app.feasibility.routes import router as feasibility_router
from app.followups.routes import router as followups_router
from app.grids.address_routes import router as grid_addresses_router
from app.grids.layer_routes import router as layers_router
from app.grids.routes import router as grids_router
from app.lifecycle.routes import router as lifecycle_router
from app.maps.routes import router as maps_router
from app.messaging.routes import router as messaging_router
from app.ordering.alerting import figures_of
from app.ordering.callbacks.ear import Ear
from app.ordering.callbacks.routes import QuickCallbacks
from app.ordering.callbacks.routes import router as callbacks_router
from app.ordering.callbacks.strangers import Strangers
from app.ordering.courier.breaker import refresh_figures as refresh_breakers
from app.ordering.routes import router as ordering_router
from app.ordering.sync_routes import router as order_syncs_router
from app.outages.routes import router as outages_router
from app.overdue.routes import router as overdue_router
from app.planning.routes import router as planning_router
from app.policies.routes import router as policies_router
from app.presence.routes import router as presence_router
from app.privacy.routes import router as privacy_router
from app.real_name.client import client_of as real_name_client_of
from app.real_name.rules import HashKeys
from app.reconciliation.figures import refresh_figures as refresh_differences
from app.reconciliation.routes import router as reconciliation_router
from app.recovery.routes import router as recovery_router
from app.releases.gate import Gate
from app.releases.routes import router as releases_router
from app.retention.routes import router as retention_router
from app.sales.routes import router as sales_router
from app.serviceability.client import ServiceabilityClient
from app.serviceability.codec import Shape
from app.suggestions.routes import router as suggestions_router
from app.suggestions.service.months import refresh_figures as refresh_months
from app.sync.routes import QuickPolls, stream_router
from app.sync.routes import router as sync_router
from app.sync.service.doorways import doorways_of
from app.sync.service.live import Live
from app.sync.service.news import News
from app.sync.service.polling import Polls
from app.technicians.routes import router as technicians_router
from app.terminals.routes import router as terminals_router
from app.territory.routes import router as territory_router
from app.tmf.routes import router as tmf_router
from app.visits.routes import router as visits_router
from app.workorders.clock_routes import router as clocks_router
from app.workorders.routes import repeats_router
from app.workorders.routes import router as workorders_router
from app.worktypes.routes import router as worktypes_router

# A request is held against these from first to last, so what is asked most comes first: what an
# ordering system calls while sales are delivered, what phones ask all day long, then what becomes
# of orders. The map's lists of grids come before what the grids take for one grid's id.
ROUTERS = (
    callbacks_router,
    sync_router,
    stream_router,
    visits_router,
    evidence_router,
    moves_router,  # before the orders: `moves` is not the id of one
    dispatch_router,
    workorders_router,
    clocks_router,
    activation_router,
    overdue_router,
    feasibility_router,
    sales_router,
    suggestions_router,
    presence_router,
    devices_router,
    board_router,
    alerts_router,
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
    order_syncs_router,
    reconciliation_router,
    commissions_router,
    messaging_router,
    policies_router,
    tmf_router,
    maps_router,
    privacy_router,
    releases_router,
    console_router,
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
        app.state.news = News(app.state.database)
        app.state.polls = Polls(app.state.news, app.state.keys, settings)
        app.state.ear = Ear(app.state.database)
        app.state.strangers = Strangers(app.state.database)
        app.state.seen = Seen()
        app.state.live = Live(
            app.state.database, app.state.news, app.state.seen, most=settings.streams
        )
        app.state.evidence = Storage.of(settings)
        app.state.activation = _platform(settings)
        app.state.real_name = real_name_client_of(settings)
        app.state.real_name_keys = HashKeys.read(settings.real_name_hash_keys.get_secret_value())
        app.state.webhook_keys = sealer_of(settings)
        app.state.serviceability = _lines(settings)
        # A test looks for itself at what was heard.
        writing = None if database else asyncio.create_task(app.state.seen.keep(app.state.database))
        yield
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        for client in (app.state.activation, app.state.real_name, app.state.serviceability):
            if client is not None:
                await client.aclose()
        await app.state.ear.close()
        await app.state.strangers.close()
        await app.state.live.close()
        await app.state.news.close()
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
    app.state.clock = clock or clock_from(settings.clock)
    app.state.figures = [
        refresh_breakers,
        refresh_months,
        figures_of(app.state.clock),
        refresh_differences,
    ]
    install_errors(app)
    for router in ROUTERS:
        app.include_router(router)
    app.state.to_empty = to_empty
    app.state.editable = editable(app.router.routes)
    # What a phone did offline goes through the very doorways that it would have gone through.
    app.state.doorways = doorways_of(app.router.routes)
    # The last one is the outermost.
    app.add_middleware(Packing, minimum_size=PACKED_FROM, compresslevel=PACKED_AT)
    app.add_middleware(QuickPolls)
    app.add_middleware(QuickCallbacks)
    app.add_middleware(Gate)
    app.add_middleware(Surroundings)
    if origins := settings.allowed_origins.split():
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["*"],
            max_age=3600,
        )
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


def _lines(settings: Settings) -> ServiceabilityClient | None:
    """Make the way to the system that knows what lines can do, if one is set."""
    if not settings.serviceability_url:
        return None
    return ServiceabilityClient(
        settings.serviceability_url,
        shape=Shape(settings.serviceability_shape),
        offering=settings.serviceability_offering,
        token=settings.serviceability_token.get_secret_value(),
        time_limit=settings.serviceability_timeout_seconds,
    )
