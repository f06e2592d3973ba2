"""Acceptances with volume and price: what each did to its unit's level, in MWh by bid-offer pair (domain.md 4)."""
