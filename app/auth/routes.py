"""Doorways of the auth room."""

from fastapi import APIRouter

router = APIRouter(tags=["auth"])
