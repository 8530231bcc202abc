"""Overdue: promises that are broken or about to be, who is told of them, and what is paid."""
