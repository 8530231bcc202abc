"""Evidence: photos and signatures from the door, uploaded in pieces, checked, kept, forgotten."""
