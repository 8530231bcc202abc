"""Doorways of dispatch: orders taken in and placed, and appointments."""

from fastapi import APIRouter

from app.dispatch.routes.appointments import router as appointments
from app.dispatch.routes.orders import router as orders

router = APIRouter()
router.include_router(orders)
router.include_router(appointments)
