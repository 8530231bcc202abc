"""The demo: one compressed working day, played by phones, supervisors and an ordering system
through the public HTTP API, and the account of it at the end."""
