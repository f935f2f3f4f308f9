"""Studies: papers reproduced, mechanisms compared, speed measured; figures with their origin."""
