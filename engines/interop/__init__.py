"""Readers and writers of other libraries' results, one module per library; `Instances.from_*` and `to_*` call them.

None of the libraries is needed to import these modules.
"""
