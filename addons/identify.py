"""Runs the identify stage alone: mitmdump -s addons/identify.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("identify")]
