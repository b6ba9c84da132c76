"""The primitives, a file for each concept; importing this registers them all."""

from whet.programs.primitives import choosing, colour, components, fills, geometry, lines, lists, symmetry

__all__ = ["choosing", "colour", "components", "fills", "geometry", "lines", "lists", "symmetry"]
