"""What a layout is: specification, curve, plan, densities; and how one is carried out."""
