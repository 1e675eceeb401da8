"""The way through: runs are claimed, executed step by step, and handed over when a worker dies."""
