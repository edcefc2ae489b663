"""What the house can do: one function per act, one transaction each: load → decide → save.

Functions take a `Context` first and never call a carrier. They raise `Refusal` or `Refusals` when a
rule says no; the web and the command turn the code into a sentence.
"""
