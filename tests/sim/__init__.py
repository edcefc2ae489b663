"""The simulation: the whole service on virtual time, seeded, with crashes and hostile carriers."""
