//! What the process takes of the machine, under the names of Prometheus' client libraries
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), read from `/proc` (`proc(5)`) when
//! somebody looks.
//!
//! Not the `process` feature of `prometheus`: it brings a second `rustix` for these few lines. Where there is no `/proc`
//! nothing is shown.

use std::fs;
use std::sync::Mutex;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// Where `proc(5)` counts the fields of `stat` from 1, what follows the command's name begins with the third.
const FIELDS_BEFORE: usize = 3;

/// See the module's documentation.
pub(super) struct Process {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    start_time: Gauge,
    /// One look at a time: the counter is set anew by each.
    looking: Mutex<()>,
}

impl Process {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu: Counter::new("process_cpu_seconds_total", "Processor time used.")?,
            resident: Gauge::new("process_resident_memory_bytes", "Memory in use.")?,
            virtual_memory: Gauge::new("process_virtual_memory_bytes", "Address space in use.")?,
            open_fds: Gauge::new("process_open_fds", "Open file descriptors.")?,
            max_fds: Gauge::new("process_max_fds", "How many file descriptors may be open.")?,
            threads: Gauge::new("process_threads", "Threads.")?,
            start_time: Gauge::new(
                "process_start_time_seconds",
                "When the process began, in seconds since 1970.",
            )?,
            looking: Mutex::new(()),
        })
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.resident,
            &self.virtual_memory,
            &self.open_fds,
            &self.max_fds,
            &self.threads,
            &self.start_time,
        ]
    }

    fn look(&self) -> Option<()> {
        let read = |path: &str| fs::read_to_string(path).ok();
        let stat = Stat::parse(&read("/proc/self/stat")?)?;
        let ticks = float(rustix::param::clock_ticks_per_second());
        let page_size = float(u64::try_from(rustix::param::page_size()).ok()?);
        let booted_at = field_after(&read("/proc/stat")?, "btime")?;
        let max_fds = field_after(&read("/proc/self/limits")?, "Max open files")?;
        // The one that is looked with is open too.
        let open_fds = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        self.cpu.reset();
        self.cpu.inc_by(float(stat.cpu_ticks) / ticks);
        self.resident.set(float(stat.resident_pages) * page_size);
        self.virtual_memory.set(float(stat.virtual_bytes));
        self.open_fds.set(float(u64::try_from(open_fds).ok()?));
        self.max_fds.set(float(max_fds));
        self.threads.set(float(stat.threads));
        self.start_time.set(float(booted_at) + float(stat.started_ticks) / ticks);
        Some(())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _looking = self.looking.lock();
        match self.look() {
            Some(()) => self.all().into_iter().flat_map(Collector::collect).collect(),
            None => Vec::new(),
        }
    }
}

/// What `/proc/self/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The command's name stands in parentheses and may hold anything, spaces and parentheses included.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |n: usize| fields.get(n.checked_sub(FIELDS_BEFORE)?)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)?.checked_add(field(15)?)?,
            threads: field(20)?,
            started_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The number that follows `name` on its line; `unlimited` is as much as can be.
fn field_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Registry, TextEncoder};

    #[test]
    fn fields_are_found_behind_any_name() {
        let text =
            "4711 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 250 13 14 15 16 12 18 9000 65536 42 20";
        let stat = Stat::parse(text).unwrap();
        let expected = Stat {
            cpu_ticks: 400,
            threads: 12,
            started_ticks: 9_000,
            virtual_bytes: 65_536,
            resident_pages: 42,
        };
        assert_eq!(stat, expected);
        for short in ["", "4711 (a", "4711 (a) S 1 2 3"] {
            assert_eq!(Stat::parse(short), None, "{short}");
        }
    }

    #[test]
    fn limits_are_numbers_or_none() {
        let limits =
            "Max cpu time    unlimited  unlimited  seconds\nMax open files   1024  4096  files\n";
        assert_eq!(field_after(limits, "Max open files"), Some(1_024));
        assert_eq!(field_after(limits, "Max cpu time"), Some(u64::MAX));
        assert_eq!(field_after(limits, "Max threads"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory_and_files() {
        let registry = Registry::new();
        registry.register(Box::new(Process::new().unwrap())).unwrap();
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1_000_000.0, "{text}");
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(
            value("process_open_fds") >= 3.0
                && value("process_open_fds") < value("process_max_fds")
        );
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_start_time_seconds") > 1_600_000_000.0);
    }
}
