"""The web: the duty desk's pages, carriers' callbacks, answer links and health, on one port.

A handler parses, calls one service function, answers. Reads query the store directly
(`warnsvc.web.query`). No rule is decided here and no carrier is called from here.
"""
