"""Wire shapes of suggestions: answers, contacts of all channels, what supervisors see and set."""
