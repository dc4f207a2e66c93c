"""The HTTP side of the embedded server: routes, authorization, bodies, answers. No storage, no query semantics."""
