"""Benchmarks: composing editions, inlining against npm's mjml and juice, sending to the outbox.

`python -m bench` runs all of them on the sample publication, in temporary workspaces.
"""
