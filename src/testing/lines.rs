//! Log lines.

use log::{LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| {
            let level = record.level().as_str().to_lowercase();
            lines.iter_mut().for_each(|lines| lines.push(format!("{level}: {}", record.args())));
        });
    }

    fn flush(&self) {}
}

/// The lines that this thread logs during the work, each with its level.
pub fn logged(work: impl FnOnce()) -> Vec<String> {
    // A second time it is refused, and the first collector serves all threads.
    let _ = log::set_logger(&Collector);
    log::set_max_level(LevelFilter::Debug);
    LINES.set(Some(Vec::new()));
    work();
    LINES.take().unwrap_or_default()
}
