"""Benchmarks that print ratios: Diptych beside what the machine allows and beside its peer, in the same run.

Run them with `make bench`, or `python -m bench --help`. Absolute figures drift between runs and machines; a ratio of
two figures taken in turns, in one run, does not. Targets: docs/performance.md.
"""
