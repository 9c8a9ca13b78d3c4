"""Runs the budget stage alone: mitmdump -s addons/budget.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("budget")]
