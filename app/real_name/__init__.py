"""Real name: whether the person at the door is who the customer is said to be."""
