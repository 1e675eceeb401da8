"""The API: what people and their tools may ask and do, a module a noun."""
