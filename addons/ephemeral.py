"""Runs the ephemeral stage alone: mitmdump -s addons/ephemeral.py --mode reverse:http://HOST:PORT."""

from penstock.proxy.loader import stage

addons = [stage("ephemeral")]
