"""The command: `warnsvc <noun> <verb>`, one module a noun.

    main       the tree of commands, its languages, and what ends with which code
    ui         what a command says: sentences, tables, bars, JSON
    fault      what every error means, and what to do about it
    house      opens store and services for one command

A command parses, calls one service function and says what came of it. Nothing is decided here.
Codes: 0 done, 1 refused or failed, 2 wrongly typed; `ledger verify` has a code of its own.
"""
