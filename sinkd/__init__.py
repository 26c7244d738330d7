"""sinkd fires HTTP requests on minute-aligned schedules and says what became of every one.

The flow, from the file a person edits to the answer a person reads:

     jobs.yaml
        | source.load            bytes -> Spec, or every problem with file:line:column
        v
     spec.Spec                   immutable; nothing else describes a job
        | schedule / agenda      (pure) slots of each job; a heap of what is due next
        v
     due slots                   (pure) every slot in (decided, now]
        | decide.decide          (pure) one decision per slot: wait, skip, miss
        v
     journal claim               durable before anything is sent
        v
     runner.run                  one HTTP request, one deadline; never raises for what a server does
        v
     record.Run                  one per slot or missed range, whatever happened
        | store.finish           one JSON line, one write, then the journal's close
        v
     runs.jsonl
        | report.summarise       (pure) records -> totals -> text, JSON, page
        v
     sinkd report / tail / why / audit / status page / metrics

Rules that comments quote by number, such as T3, are those of SEMANTICS.md.
"""

__version__ = "0.1.0"
