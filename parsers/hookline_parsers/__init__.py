"""The parsers that come with hookline: each turns one sender's webhooks into events."""
