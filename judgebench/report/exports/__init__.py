"""A run as the files of other tools, one module a form.

Each module's function takes a `judgebench.report.exports.held.Held` and gives an `Exported`: pure, nothing is written
here. What a form cannot hold is left out, counted and said; nothing is made up to fill a column.
"""
