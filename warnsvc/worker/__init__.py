"""The engine: decides what is due, sends what is planned, and runs the periodic duties."""
