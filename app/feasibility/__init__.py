"""Feasibility: whether what is sold at a door can be installed before the technician leaves, the
minutes and terminals that are reserved for it, and the install order that follows the sale."""
