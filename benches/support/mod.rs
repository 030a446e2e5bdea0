//! What the benches share: the clock, and how many bytes are worked on at once.

#![allow(dead_code, reason = "each bench uses its part")]

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};

/// Time this thread had the processor: what else runs on the machine is not counted.
#[cfg(unix)]
pub(crate) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}

/// Time that all threads of this process had a processor.
#[cfg(unix)]
pub(crate) fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
}

/// Not known elsewhere.
#[cfg(not(unix))]
pub(crate) fn process_time() -> Duration {
    Duration::ZERO
}

/// Elsewhere the wall clock has to do.
#[cfg(not(unix))]
pub(crate) fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Groups of this bench: short runs, since what matters is measured many times.
pub(crate) fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(25);
    group
}

/// Measures `run` on inputs that `make` made outside the measured time, results dropped outside it too.
/// `bytes` is what one input takes: as many are made at once as the second cache holds.
pub(crate) fn bench<I, O>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (name, parameter): (&str, impl std::fmt::Display),
    bytes: usize,
    mut make: impl FnMut() -> I,
    mut run: impl FnMut(I) -> O,
) {
    const AT_ONCE: u64 = 512 * 1024;
    let at_once = (AT_ONCE / bytes as u64).clamp(1, 64);
    group.bench_function(criterion::BenchmarkId::new(name, parameter), |b| {
        b.iter_custom(|iterations| {
            let (mut left, mut spent) = (iterations, Duration::ZERO);
            while left > 0 {
                let count = left.min(at_once);
                let mut inputs: Vec<I> = (0..count).map(|_| make()).collect();
                let mut outputs = Vec::with_capacity(inputs.len());
                let start = now();
                outputs.extend(inputs.drain(..).map(|input| run(std::hint::black_box(input))));
                spent += now() - start;
                std::hint::black_box(outputs);
                left -= count;
            }
            spent
        });
    });
}

/// Sets what one iteration works on.
pub(crate) fn bytes(group: &mut BenchmarkGroup<'_, WallTime>, count: usize) {
    group.throughput(Throughput::Bytes(count as u64));
}
