"""Policies: what suggestions learn at night, how that is judged, and who puts it in force."""
