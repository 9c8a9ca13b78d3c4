"""Runs the redaction stage alone: mitmdump -s addons/redaction.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("redaction")]
