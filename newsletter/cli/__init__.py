"""The command line: parses and prints, nothing else; one file a group."""

from newsletter.cli.main import main

__all__ = ["main"]
