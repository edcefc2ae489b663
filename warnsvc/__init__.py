"""Early-warning dissemination and call-and-answer (叫应)."""

__version__ = "0.1.0"
