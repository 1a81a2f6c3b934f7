//! Rank 7: HTTP API, dashboard, live streams, metrics, health.
