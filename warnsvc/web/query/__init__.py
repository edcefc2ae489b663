"""What pages read: one module per screen, hand-written statements over what is committed.

They fetch and shape; they never decide and never write.
"""
