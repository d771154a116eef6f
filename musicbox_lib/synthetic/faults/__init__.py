"""Faults written on purpose into generated deliveries, each counted and placed, so that validation can be checked."""
