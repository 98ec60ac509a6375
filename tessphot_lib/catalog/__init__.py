"""Which stars are where: proper motion, sky cells, masks, areas."""
