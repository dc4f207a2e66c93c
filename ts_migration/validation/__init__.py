"""The proof: two readings in, a Verdict out. Pure functions; clients and orchestration do not belong here."""
