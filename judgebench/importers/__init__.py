"""Other tools' answers, verdicts and people's labels, one module a form of file; `writing` lays them into a run.

Each module's ``read(files, options)`` gives a `judgebench.importers.records.Gathered`: what the files say, before it
is known which of it the run already holds. Nothing here judges: labels and scores are kept as they were recorded.
"""
