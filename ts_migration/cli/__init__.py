"""`ts-migration`: one module a command group. Heavy imports happen inside the commands."""
