"""What can be done with grids: give them to people, one by one or many at once, and end that."""

from app.grids.service.assigning import assign, end
from app.grids.service.backups import order_backups

__all__ = ["assign", "end", "order_backups"]
