"""Windows event logs (EVTX)."""
