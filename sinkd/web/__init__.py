"""The pages, the JSON API and the event stream of `sinkd run --listen`.

    site          what is served, put together from the options; the daemon never imports it
    server        sockets, and the limits on what clients may take
    guard         who may ask and how: method, host, token; headers of every answer
    feed          every durable line of the log, folded into an overview; wakes the streams
    pages api     answers for people and for programs
    view          a job as the pages show it

Nothing here writes: whoever may see a page can still change nothing.
"""
