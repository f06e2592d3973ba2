"""How the stream arrives: landing, loading, replaying. No part of it asks the REST API."""
