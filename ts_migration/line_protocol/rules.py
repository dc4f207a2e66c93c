"""Names of the rewrite rules and what they put in place: shared by the conversion, the source's SQL and the checks.

What a rule does to a frame is in `rewrites`.
"""

from collections.abc import Mapping as Dictionary

Rules = Dictionary[str, str]
"""Rule -> what it puts in place, as `config.RewriteRules.active` has them."""

TRAILING_BACKSLASH = "trailing_backslash"
NEWLINE_IN_TAG = "newline_in_tag"
FLOAT_NOT_FINITE = "float_not_finite"
STRING_TOO_LONG = "string_too_long"
INTEGER_NOT_EXACT = "integer_not_exact"

TAG_RULES = frozenset({TRAILING_BACKSLASH, NEWLINE_IN_TAG})
"""Rules that may make one series of two."""

NEWLINE = {"space": " ", "escape": "\\n"}
"""What stands for a line feed in a tag, by the rule's choice."""
