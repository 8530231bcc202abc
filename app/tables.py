"""Imports every room's models, so that the metadata is whole for Alembic, the worker and tests."""

from app.activation import models as activation_models
from app.alerts import models as alerts_models
from app.auth import models as auth_models
from app.catalog import models as catalog_models
from app.commissions import models as commissions_models
from app.core import nights, once, parameter_values
from app.core.db import Base
from app.customers import models as customers_models
from app.devices import models as devices_models
from app.dispatch import models as dispatch_models
from app.evidence import models as evidence_models
from app.feasibility import models as feasibility_models
from app.followups import models as followups_models
from app.grids import models as grids_models
from app.lifecycle import models as lifecycle_models
from app.messaging import models as messaging_models
from app.ordering import models as ordering_models
from app.outages import models as outages_models
from app.overdue import models as overdue_models
from app.planning import models as planning_models
from app.policies import models as policies_models
from app.presence import models as presence_models
from app.privacy import models as privacy_models
from app.promises import models as promises_models
from app.real_name import models as real_name_models
from app.reconciliation import models as reconciliation_models
from app.recovery import models as recovery_models
from app.releases import models as releases_models
from app.retention import models as retention_models
from app.sales import models as sales_models
from app.serviceability import models as serviceability_models
from app.suggestions import models as suggestions_models
from app.sync import models as sync_models
from app.technicians import models as technicians_models
from app.terminals import models as terminals_models
from app.territory import models as territory_models
from app.travel import models as travel_models
from app.visits import models as visits_models
from app.workorders import models as workorders_models
from app.worktypes import models as worktypes_models

ROOMS = (
    auth_models,
    alerts_models,
    parameter_values,
    nights,
    once,
    grids_models,
    technicians_models,
    customers_models,
    catalog_models,
    terminals_models,
    lifecycle_models,
    messaging_models,
    devices_models,
    worktypes_models,
    promises_models,
    workorders_models,
    overdue_models,
    territory_models,
    suggestions_models,
    policies_models,
    travel_models,
    outages_models,
    presence_models,
    dispatch_models,
    planning_models,
    visits_models,
    evidence_models,
    activation_models,
    real_name_models,
    recovery_models,
    serviceability_models,
    feasibility_models,
    sales_models,
    followups_models,
    releases_models,
    retention_models,
    ordering_models,
    reconciliation_models,
    commissions_models,
    privacy_models,
    sync_models,
)
metadata = Base.metadata
