"""Score routing on labelled outcomes of real pairs of models."""

from penstock.routing.evaluation.router import factory

__all__ = ["factory"]
