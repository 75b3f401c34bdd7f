//! The lines of the log: with a priority for systemd's journal, with the time elsewhere.

use log::{Level, Record};
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Sends log lines to standard error.
pub(crate) fn start(level: log::LevelFilter) {
    // Set by systemd if standard error is the journal, which has the time already and reads priorities (sd-daemon(3)).
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::max())
        .format(move |out, record| match journal {
            true => for_journal(out, record),
            false => with_time(out, record, SystemTime::now()),
        })
        .init();
    log::set_max_level(level);
}

fn for_journal(out: &mut dyn Write, record: &Record<'_>) -> io::Result<()> {
    // syslog(3).
    let priority = match record.level() {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    // A priority counts for one line.
    for line in record.args().to_string().lines() {
        writeln!(out, "<{priority}>directord: {line}")?;
    }
    Ok(())
}

fn with_time(out: &mut dyn Write, record: &Record<'_>, now: SystemTime) -> io::Result<()> {
    let level = record.level().as_str().to_lowercase();
    writeln!(out, "{} directord: {level}: {}", utc(now), record.args())
}

/// As RFC 3339 writes it, in UTC, with milliseconds.
fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// Year, month and day of a day after 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_those_of_date() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.250Z"),
            (951_782_400, "2000-02-29T00:00:00.250Z"),
            (1_735_689_599, "2024-12-31T23:59:59.250Z"),
            (4_107_542_400, "2100-03-01T00:00:00.250Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(250);
            assert_eq!(utc(time), expected);
        }
    }

    #[test]
    fn the_journal_gets_a_priority_for_every_line() {
        let mut out = Vec::new();
        let args = format_args!("one\ntwo");
        let record = Record::builder().level(Level::Warn).args(args).build();
        for_journal(&mut out, &record).unwrap();
        assert_eq!(out, b"<4>directord: one\n<4>directord: two\n");
        out.clear();
        with_time(&mut out, &record, UNIX_EPOCH).unwrap();
        assert_eq!(out, b"1970-01-01T00:00:00.000Z directord: warn: one\ntwo\n");
    }
}
