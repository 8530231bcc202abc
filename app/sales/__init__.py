"""Sales: what is sold during a visit, with price, consent and its way to the ordering system."""
