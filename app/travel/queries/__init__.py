"""What is known of ways, the ways of a night, and what is learned from them."""

from app.travel.queries.known import travel_in_force

__all__ = ["travel_in_force"]
