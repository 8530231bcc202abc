"""The ordering system as a client of it sees it: how TMF622 is written, sent, answered and read."""

from app.ordering.client.api import OrderingClient

__all__ = ["OrderingClient"]
