"""Where rows LIVE."""
