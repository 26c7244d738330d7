"""The example agent that `sinkd demo` starts beside the daemon; no part of the scheduler.

    agent.create_app      the HTTP application: endpoints for the four jobs, pages for a person
    sessions              what the agent did, item by item, and the state that follows from it
    research              (pure) the simulated market and what the trading agent makes of it
    books                 the quote cache and the order ledger
    database              the SQLite file under both

Sessions record execution, jobs trigger it: sinkd knows of a session only what the run's record
captured of the answer, its id.
"""
