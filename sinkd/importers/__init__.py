"""Other schedulers' files, read as entries of a jobs file: one module for each format.

    crontab | vercel | gcloud     a file's text -> an Entry or a LeftOut for each thing in it
    jobs                          entries -> the jobs that `validate` accepts, the rest left out
    writing                       jobs -> the text of a jobs file

Nothing is lost in silence: what cannot be expressed is left out with its place and the reason.
"""
