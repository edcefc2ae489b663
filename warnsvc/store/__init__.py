"""The database: tables, the port with its two implementations, and the statements of the hot paths.

SQL fetches and stores; it never decides. The rules are in `warnsvc.core`.
"""
