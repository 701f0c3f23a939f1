"""Resources of the API that belong to the hub as a whole."""
