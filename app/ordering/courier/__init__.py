"""The courier: a worker's way of delivering what is due, many at once, while the other side can
bear it."""

from app.ordering.courier.delivering import Courier, Taken

__all__ = ["Courier", "Taken"]
