"""The rules, as functions of values: no clock, no database, no network.

`now` is always passed in. A decision returns what to do and why, and the why becomes a ledger line.
"""
