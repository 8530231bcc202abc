"""Follow-ups: asking a customer after a visit how it was, and acting on what they say."""
