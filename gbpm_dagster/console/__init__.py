"""How the terminal looks: tables, bars, JSON. No work of its own."""
