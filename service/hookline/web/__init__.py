"""Everything that is HTTP: webhooks in, the API, health."""
