"""Work orders: a promised install or repair, from intake to archive."""
