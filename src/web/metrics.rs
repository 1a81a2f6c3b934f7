//! Prometheus metrics: counters fed by the event log, and gauges read at each scrape.
