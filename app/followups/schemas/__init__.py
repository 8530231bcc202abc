"""Wire shapes of follow-ups: the customer's survey, and what supervisors see and do."""
