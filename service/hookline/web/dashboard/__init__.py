"""The dashboard: pages for people, drawn by the server, and kept up to date while they are looked at."""
