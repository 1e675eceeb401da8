"""Benchmarks: each prints a rate, and its ratio to a floor that is measured in the same run."""
