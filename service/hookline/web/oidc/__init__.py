"""Logging in at a provider of identities, by OpenID Connect."""
