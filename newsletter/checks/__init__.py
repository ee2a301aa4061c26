"""Looks at what is about to be sent, and at what the world would make of it."""
