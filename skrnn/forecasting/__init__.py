"""Forecasting of one series or many."""
