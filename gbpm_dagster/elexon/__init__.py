"""How HISTORY arrives: windows planner, HTTP client, decoding."""
