//! The names of a namespace, on its directory core: service lists and fuzzy watches.
