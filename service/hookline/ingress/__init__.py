"""The way in: a webhook is verified, parsed, bound to jobs and stored."""
