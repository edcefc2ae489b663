"""The demo: an invented county, simulated phones, and the whole service on two ports.

    run       puts it together: data folder, phones, county, officers, a first drill, the service
    phones    the simulated carrier in a process of its own; light, because that process imports it
    county    the county through the ordinary importers
    cast      the officers who can log in
    drill     the one thing that waits when somebody first looks

It warns nobody: numbers, codes and people are invented, and only the simulated carrier is called.
"""
