"""What surrounds a migration and needs no orchestrator: plan, prerequisites, rollback, cleanup."""
