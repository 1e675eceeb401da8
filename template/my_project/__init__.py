"""Webhooks in, durable runs out."""
