"""Market mechanisms: who trades how much with whom, and at what price.

`market.integer` is exact and deterministic: what a replica recomputes, and all that contracts
may import. Mechanisms that solve with floats live apart from it and enter the ledger with a
certificate. Nothing here knows about files, accounts or blocks.
"""
