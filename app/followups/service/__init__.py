"""What happens to a follow-up: it is made, asked by link or call, answered, and acted on."""
