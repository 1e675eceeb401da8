"""Reconcilers: the providers that can be asked what they sent, one module each."""
