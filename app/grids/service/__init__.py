"""What can be done with grids: give them to technicians, and end that again."""

from app.grids.service.assigning import assign, end

__all__ = ["assign", "end"]
