"""The pixel response function: evaluation, fits, fits of star fluxes with it."""
