"""Positions of the parts of the street in metres, from which all other positions follow."""

from __future__ import annotations

LANE = 1.75
"""Distance of the middle of a lane from the middle of the street."""
PARKING_LINE = 3.5
"""Distance of the edge of the parking strip from the middle of the street."""
PARKED = 4.62
"""Distance of the middle of a parked car from the middle of the street."""
KERB = 5.7
"""Where the road ends and the pavement begins."""
WALL = 9.5
"""Where the pavement ends and the houses begin."""

STREET_START, STREET_END = -60.0, 170.0
"""Ends of the street."""
CROSSING = 66.0
"""Middle of the crossroads along the street; the other road is as wide as this one."""
ZEBRAS = (CROSSING - KERB - 3.2, CROSSING + KERB + 3.2)
"""Middles of the two pedestrian crossings over our street, each 3 m long."""
ZEBRA_HALF = 1.5
"""Half the length of a pedestrian crossing, along the street."""
CORNERS = (CROSSING - WALL, CROSSING + WALL)
"""Where the houses before the crossroads end and those behind it begin."""
