"""Kill a send at random moments and count: who was lost, who was mailed twice, do the books balance.

`python -m tests.reliability` runs the long version, `test_reliability.py` is a short one.
"""
