"""The account's query settings: DescribeAccountSettings and UpdateAccountSettings.

Here belong pricing model and capacity, which change no answer of a query. They last as long as the process.
"""

from __future__ import annotations

import threading
from typing import Any

from ts_migration.local.timestream.refusals import ValidationError
from ts_migration.local.timestream.wire import Caller

_DEFAULT_TCU = 200
_MIN_TCU, _MAX_TCU, _STEP_TCU = 4, 1000, 4


class AccountSettings:
    """Settings of the one account this server has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._max_tcu = _DEFAULT_TCU
        self._pricing = "BYTES_SCANNED"

    def describe(self, _request: dict[str, Any], _caller: Caller) -> dict[str, Any]:
        """DescribeAccountSettings."""
        return {
            "MaxQueryTCU": self._max_tcu,
            "QueryPricingModel": self._pricing,
            "QueryCompute": {"ComputeMode": "ON_DEMAND"},
        }

    def update(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """UpdateAccountSettings: on-demand capacity in steps of 4, and the one way from bytes to compute units."""
        tcu = request.get("MaxQueryTCU")
        if tcu is not None and (not _MIN_TCU <= tcu <= _MAX_TCU or tcu % _STEP_TCU):
            raise ValidationError(f"MaxQueryTCU is a multiple of {_STEP_TCU} from {_MIN_TCU} to {_MAX_TCU}: {tcu}.")
        if request.get("QueryPricingModel") == "BYTES_SCANNED":
            raise ValidationError("UpdateAccountSettings recognises no other QueryPricingModel than COMPUTE_UNITS.")
        if (request.get("QueryCompute") or {}).get("ComputeMode") == "PROVISIONED":
            raise ValidationError("The embedded Timestream server has no provisioned capacity.")
        with self._lock:
            self._max_tcu = tcu if tcu is not None else self._max_tcu
            self._pricing = request.get("QueryPricingModel", self._pricing)
        return self.describe(request, caller)
