"""The way to the backend: its process, the session with it, and what is asked of it."""
