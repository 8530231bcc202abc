"""Benchmarks: what a request costs, beside code written by hand for the same job.

`python -m benchmarks` runs them all; README.md says how to read what they print.
"""
