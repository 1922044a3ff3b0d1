//! Times the steps of pgpawl's work on what real tools sent: `cargo bench -p pgpawl-bench`.

use criterion::Criterion;
use pgpawl_bench::micro::{Material, STEPS};

fn main() {
    let material = Material::read().expect("the recordings");
    let mut criterion = Criterion::default().configure_from_args();
    for (name, step) in STEPS {
        criterion.bench_function(name, |bencher| bencher.iter(|| step(&material)));
    }
    criterion.final_summary();
}
