"""What the board says of people and visits, and when it warns."""
