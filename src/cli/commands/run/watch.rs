//! What a run without a daemon measures and finds: it is told on the terminal, and kept nowhere.

use futures_util::future::BoxFuture;

use super::ports::NoDaemon;
use crate::base::{Fault, Timestamp};
use crate::cli::show;
use crate::lua::WatchPort;
use crate::model::alerts::{Acknowledgement, Alert, Silence};
use crate::model::checks::Check;
use crate::model::metrics::Sample;
use crate::store::{MetricQuery, Report, SeriesPoints, SeriesRow};

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, Fault>> {
    Box::pin(async { Ok(value) })
}

impl WatchPort for NoDaemon {
    fn record(&self, samples: Vec<Sample>) -> BoxFuture<'_, Result<(), Fault>> {
        for sample in samples {
            show::note(format_args!("measured: {} = {}", show::plain(&sample.series.to_string()), sample.value));
        }
        ready(())
    }

    fn query(&self, _: MetricQuery) -> BoxFuture<'_, Result<Vec<SeriesPoints>, Fault>> {
        ready(Vec::new())
    }

    fn series(&self, _: Option<String>) -> BoxFuture<'_, Result<Vec<SeriesRow>, Fault>> {
        ready(Vec::new())
    }

    fn alerts(&self, _: Option<Timestamp>) -> BoxFuture<'_, Result<Vec<Alert>, Fault>> {
        ready(Vec::new())
    }

    fn report(&self, report: Report) -> BoxFuture<'_, Result<bool, Fault>> {
        if !report.ok {
            let alert = &report.alert;
            show::note(format_args!("{}: {}: {}", alert.severity, alert.name, show::plain(&alert.summary)));
        }
        ready(!report.ok)
    }

    fn acknowledge(&self, _: String, _: Acknowledgement) -> BoxFuture<'_, Result<bool, Fault>> {
        ready(false)
    }

    fn silence(&self, _: Silence) -> BoxFuture<'_, Result<(), Fault>> {
        ready(())
    }

    fn checks(&self) -> BoxFuture<'_, Result<Vec<Check>, Fault>> {
        ready(Vec::new())
    }
}
