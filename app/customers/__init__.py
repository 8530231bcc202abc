"""Customers: addresses, subscriptions and every contact on every channel."""
