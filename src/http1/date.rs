//! Dates as HTTP writes them (RFC 9110 5.6.7).

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, unix milliseconds, as `Sat, 21 Nov 2026 12:44:16 GMT`.
pub fn http_date(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize - 1],
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

/// The same as ISO 8601 with a zone: `2026-11-21T12:44:16.831+00:00`.
pub fn iso_date(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date}T{time}+00:00")
}

/// The same, UTC, as a person reads it: `2026-11-21 12:44:16.831`.
pub fn plain_date(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date} {time}")
}

fn date_and_time(unix_ms: u64) -> (String, String) {
    let seconds = unix_ms / 1_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let milliseconds = unix_ms % 1_000;
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{hour:02}:{minute:02}:{second:02}.{milliseconds:03}"),
    )
}

/// Year, month and day of a day since 1970, by eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (unix_ms, http, iso) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000+00:00"),
            (951_782_399_999, "Mon, 28 Feb 2000 23:59:59 GMT", "2000-02-28T23:59:59.999+00:00"),
            (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000+00:00"),
            (951_868_800_000, "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00.000+00:00"),
            (1_795_265_056_831, "Sat, 21 Nov 2026 12:44:16 GMT", "2026-11-21T12:44:16.831+00:00"),
            (4_102_444_800_000, "Fri, 01 Jan 2100 00:00:00 GMT", "2100-01-01T00:00:00.000+00:00"),
        ] {
            assert_eq!((http_date(unix_ms), iso_date(unix_ms)), (http.to_owned(), iso.to_owned()));
            let plain = iso.replace('T', " ").replace("+00:00", "");
            assert_eq!(plain_date(unix_ms), plain);
        }
    }
}
