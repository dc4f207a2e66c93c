"""The functions of Flux, each family in its own file; `library` collects them."""
