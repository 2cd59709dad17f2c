"""Forecasts of series and panels of series.

From the top to the bottom: `reading` knows the forms of data that a user may pass, and
gives the answers in the same form; `tables` brings each form into rows; `columns` makes
numbers of what the columns hold. Below it there are arrays: a `panel` of series on a
`clock`, whose step is a `frequency`, the features of a `calendar`, and a classical
forecast by `theta`.
"""
