"""The schema's history. `warnsvc.store.migrate` runs it; see `env.py` for how."""
