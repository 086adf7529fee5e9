//! Answers as a person reads them: aligned, in units, and free of what would command his terminal,
//! since clients choose names.

use serde_json::Value;

/// Moments: unix milliseconds, UTC.
pub use crate::http1::date::plain_date as time;

/// Text of a client without characters that a terminal acts on.
pub fn safe(text: &str) -> String {
    let plain = |character: char| !character.is_control();
    if text.chars().all(plain) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|character| {
            let escaped = if plain(character) {
                character.to_string()
            } else {
                character.escape_default().to_string()
            };
            escaped.chars().collect::<Vec<_>>()
        })
        .collect()
}

/// A value in a cell; `-` for none.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => safe(text),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

/// Lines of cells, each column as wide as its widest cell, two blanks between.
pub fn columns(lines: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        for (at, cell) in line.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            shown.push_str(cell);
            let missing = width - cell.chars().count() + 2;
            shown.extend(std::iter::repeat_n(' ', missing));
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// A table of some members of each row, under their headings.
pub fn table<'a>(heads: &[(&str, &str)], rows: impl Iterator<Item = &'a Value>) -> String {
    let mut lines = vec![heads.iter().map(|(head, _)| (*head).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.map(|row| heads.iter().map(|(_, member)| plain(&row[member])).collect()));
    columns(&lines)
}

/// Bytes in the largest unit that leaves a number of at least one.
pub fn bytes(value: &Value) -> String {
    let Some(bytes) = value.as_u64() else { return "-".to_owned() };
    if bytes == u64::MAX {
        return "unknown".to_owned();
    }
    for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= size {
            return format!("{:.1} {unit}", bytes as f64 / size as f64);
        }
    }
    format!("{bytes} B")
}

/// Seconds as days, hours, minutes: the two largest that count.
pub fn duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let rows = [json!({ "a": "x", "b": 12_345 }), json!({ "a": "öäüß", "b": null })];
        let text = table(&[("A", "a"), ("LONG HEAD", "b")], rows.iter());
        assert_eq!(text, "A     LONG HEAD\nx     12345\nöäüß  -\n");
    }

    #[test]
    fn a_terminal_is_not_commanded() {
        let row = json!({ "a": "x\u{1b}[31mred\u{7}\u{9b}2J\n" });
        let text = plain(&row["a"]);
        assert!(text.chars().all(|character| !character.is_control()), "{text:?}");
        assert!(text.contains("red"), "{text}");
    }

    #[test]
    fn units() {
        assert_eq!(bytes(&json!(1_023)), "1023 B");
        assert_eq!(bytes(&json!(1_536)), "1.5 KiB");
        assert_eq!(bytes(&json!(5_u64 << 30)), "5.0 GiB");
        for (seconds, text) in [(59, "59 s"), (61, "1 min 1 s"), (7_200, "2 h 0 min")] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(90_000), "1 d 1 h");
    }
}
