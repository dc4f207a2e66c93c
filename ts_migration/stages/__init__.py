"""The stages of one window as plain functions: export, convert, load, check.

Each reads its parent's manifest, does its work with the clients it is given and writes its own manifest last. Dagster's
assets call them in a dozen lines; tests call them without Dagster. No SQL, no HTTP and no Dagster belong here.
"""
