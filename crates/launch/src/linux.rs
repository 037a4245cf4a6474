//! Linux's namespaces.
