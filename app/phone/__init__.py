"""A small phone, as a reference: it knows the server over HTTP alone, and works offline."""
