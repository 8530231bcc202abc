"""Wire shapes of suggestions: answers, and what operators set."""
