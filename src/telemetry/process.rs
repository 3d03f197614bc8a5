//! Metrics of the process (`process_*`), as the operating system reports them.
//!
//! The names are those of Prometheus's own client libraries.

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, WithCurrentSystemInfo as _};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::declared;
use super::metric::MetricSpec;

/// Collector that reads the process at each scrape. A value that cannot be read is left out.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// One reading of the process.
struct ProcessStats {
    cpu_seconds: f64,
    started: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_files: usize,
    open_files_max: Option<u64>,
    threads: i64,
}

impl ProcessStats {
    fn take() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        #[expect(clippy::cast_precision_loss, reason = "ticks of a process fit for centuries")]
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        #[expect(clippy::cast_precision_loss, reason = "so does the time since 1970")]
        let booted = procfs::boot_time_secs()? as f64;
        let limit = process.limits()?.max_open_files.soft_limit;
        Ok(Self {
            cpu_seconds: seconds(stat.utime + stat.stime),
            started: booted + seconds(stat.starttime),
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            open_files: process.fd_count()?,
            open_files_max: match limit {
                LimitValue::Value(limit) => Some(limit),
                LimitValue::Unlimited => None,
            },
            threads: stat.num_threads,
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Ok(reading) = ProcessStats::take() else { return Ok(()) };
        let mut write = |spec: &MetricSpec, metric: &dyn Encode| metric.write(&mut encoder, spec);
        let whole = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        write(&declared::PROCESS_CPU, &ConstCounter::new(reading.cpu_seconds))?;
        write(&declared::PROCESS_START_TIME, &ConstGauge::new(reading.started))?;
        write(&declared::PROCESS_RESIDENT_MEMORY, &whole(reading.resident_bytes))?;
        write(&declared::PROCESS_VIRTUAL_MEMORY, &whole(reading.virtual_bytes))?;
        let open_files = u64::try_from(reading.open_files).unwrap_or(u64::MAX);
        write(&declared::PROCESS_OPEN_FDS, &whole(open_files))?;
        if let Some(max) = reading.open_files_max {
            write(&declared::PROCESS_MAX_FDS, &whole(max))?;
        }
        write(&declared::PROCESS_THREADS, &ConstGauge::new(reading.threads))
    }
}

/// Metric of any type, as a trait object.
trait Encode {
    fn write(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        spec: &MetricSpec,
    ) -> Result<(), std::fmt::Error>;
}

impl<M: EncodeMetric> Encode for M {
    fn write(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        spec: &MetricSpec,
    ) -> Result<(), std::fmt::Error> {
        let (unit, kind) = (spec.unit(), self.metric_type());
        self.encode(encoder.encode_descriptor(spec.name, spec.help, unit.as_ref(), kind)?)
    }
}
