//! Times all the work of this package: `cargo bench --manifest-path benches/Cargo.toml --bench
//! machine`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn machine(c: &mut Criterion) {
    for mut work in sansocket_benches::all() {
        let (name, len) = work.name.split_once('/').unwrap();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements((work.run)()));
        group.bench_function(BenchmarkId::from_parameter(len), |b| b.iter(&mut work.run));
    }
}

criterion_group!(benches, machine);
criterion_main!(benches);
