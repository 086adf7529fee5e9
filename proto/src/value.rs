//! The leniency Jackson grants and real clients rely on (`grpc-protocol.md` 2.3), one rule a type.
//!
//! | Rust               | accepts besides its own JSON type                          | `null` |
//! |--------------------|------------------------------------------------------------|--------|
//! | `Option<Text>`     | numbers as spelled, `true`, `false`                        | `None` |
//! | `i64` (Java `int`) | floats (cut), `"80"`, `""` (0), `"null"` (0)               | 0      |
//! | `f64`              | `"0.5"`, `"NaN"`, `"Infinity"`, `"INF"`, `""` (0)          | 0.0    |
//! | `bool`             | whole numbers (0 is false), `"true"`/`"True"`/`"TRUE"`, …  | false  |
//! | `Pairs`, `Flags`   | values by the rules above; `null` values are left out      | empty  |
//! | objects, lists     | nothing                                                    | `None` |
//!
//! A member that comes twice: the last wins. A member nobody knows: passed over.

use crate::scan::{ParseError, Scalar, Scan};
use crate::text::{Flags, Pairs, Text};

/// Items of a list in a request (`instances`, `receivedGroupKeys`). Real batches have tens; the
/// bound keeps `[{},{},…]` from taking a hundred times its own size in memory. Beyond it the body
/// is refused.
pub const LIST_ITEMS_MAX: usize = 65_536;

/// What a member of a request may hold.
pub(crate) trait Value<'a>: Sized {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError>;
}

impl<'a> Value<'a> for Option<Text<'a>> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        Ok(match scan.scalar()? {
            Scalar::Null => None,
            Scalar::Text(text) => Some(Text(text)),
            Scalar::Number(number) => Some(number.into()),
            Scalar::Bool(true) => Some("true".into()),
            Scalar::Bool(false) => Some("false".into()),
        })
    }
}

impl<'a> Value<'a> for bool {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        Ok(Option::<bool>::read(scan)?.unwrap_or(false))
    }
}

/// Java's `Boolean`: also `null`, and `""` and `"null"` as such.
impl<'a> Value<'a> for Option<bool> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        const WHAT: &str = "true or false was expected";
        match scan.scalar()? {
            Scalar::Null => Ok(None),
            Scalar::Bool(value) => Ok(Some(value)),
            Scalar::Number(number) if is_whole(number) => Ok(Some(number != "0")),
            Scalar::Number(_) => Err(scan.error(WHAT)),
            Scalar::Text(text) => match text.trim() {
                "true" | "True" | "TRUE" => Ok(Some(true)),
                "false" | "False" | "FALSE" => Ok(Some(false)),
                "" | "null" => Ok(None),
                _ => Err(scan.error(WHAT)),
            },
        }
    }
}

/// Every whole number of the requests is a Java `int`; `i64` leaves room for arithmetic.
impl<'a> Value<'a> for i64 {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        const WHAT: &str = "a whole number was expected";
        let value = match scan.scalar()? {
            Scalar::Null => Some(0),
            Scalar::Number(number) if is_whole(number) => number.parse().ok(),
            Scalar::Number(number) => number.parse().ok().and_then(cut),
            Scalar::Bool(_) => return Err(scan.error(WHAT)),
            Scalar::Text(text) => match text.trim() {
                "" | "null" => Some(0),
                digits if is_signed_digits(digits) => digits.parse().ok(),
                _ => return Err(scan.error(WHAT)),
            },
        };
        match value {
            Some(value) if i32::try_from(value).is_ok() => Ok(value),
            _ => Err(scan.error("a number outside of -2147483648..2147483647")),
        }
    }
}

impl<'a> Value<'a> for f64 {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        const WHAT: &str = "a number was expected";
        match scan.scalar()? {
            Scalar::Null => Ok(0.0),
            Scalar::Number(number) => number.parse().map_err(|_| scan.error(WHAT)),
            Scalar::Bool(_) => Err(scan.error(WHAT)),
            Scalar::Text(text) => number_of_text(text.trim()).ok_or_else(|| scan.error(WHAT)),
        }
    }
}

impl<'a> Value<'a> for Pairs<'a> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        Ok(Self(read_map(scan)?.unwrap_or_default()))
    }
}

impl<'a> Value<'a> for Option<Flags<'a>> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        Ok(read_map(scan)?.map(Flags))
    }
}

impl<'a> Value<'a> for Option<Vec<Text<'a>>> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        read_list(scan, Option::<Text>::read)
    }
}

/// An object of text to `V`; `None` for null. Of a key that comes twice the last value stays.
fn read_map<'a, V>(scan: &mut Scan<'a>) -> Result<Option<Vec<(Text<'a>, V)>>, ParseError>
where
    Option<V>: Value<'a>,
{
    if scan.null()? {
        return Ok(None);
    }
    let mut pairs = Vec::new();
    scan.object(|scan, key| {
        pairs.push((Text(key), Option::<V>::read(scan)?));
        Ok(())
    })?;
    keep_last(&mut pairs);
    Ok(Some(pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()))
}

/// An array; `None` for null. Items that read as `None` are left out.
pub(crate) fn read_list<'a, T>(
    scan: &mut Scan<'a>,
    mut item: impl FnMut(&mut Scan<'a>) -> Result<Option<T>, ParseError>,
) -> Result<Option<Vec<T>>, ParseError> {
    if scan.null()? {
        return Ok(None);
    }
    let mut list = Vec::new();
    scan.array(|scan| {
        if list.len() == LIST_ITEMS_MAX {
            return Err(scan.error("a list of more than 65536 items"));
        }
        list.extend(item(scan)?);
        Ok(())
    })?;
    Ok(Some(list))
}

/// Drops all but the last pair of each key. Few pairs are compared with each other, many are
/// sorted.
fn keep_last<V>(pairs: &mut Vec<(Text<'_>, V)>) {
    const FEW: usize = 16;
    let mut keep = vec![];
    if pairs.len() <= FEW {
        let same = |i: usize, j: usize| pairs[i].0 == pairs[j].0;
        if (0..pairs.len()).all(|i| (i + 1..pairs.len()).all(|j| !same(i, j))) {
            return;
        }
    }
    keep.resize(pairs.len(), false);
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    // Stable, so equal keys stay in the order they came in.
    order.sort_by(|i, j| pairs[*i].0.cmp(&pairs[*j].0));
    for (place, index) in order.iter().enumerate() {
        let next = order.get(place + 1);
        keep[*index] = next.is_none_or(|next| pairs[*next].0 != pairs[*index].0);
    }
    let mut kept = keep.into_iter();
    pairs.retain(|_| kept.next().unwrap_or(true));
}

fn is_whole(number: &str) -> bool {
    !number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

fn is_signed_digits(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A float as a whole number, its fraction cut off. The bounds are judged before the cut, as
/// Jackson does.
fn cut(value: f64) -> Option<i64> {
    let bounds = f64::from(i32::MIN)..=f64::from(i32::MAX);
    bounds.contains(&value).then_some(value as i64)
}

fn number_of_text(text: &str) -> Option<f64> {
    match text {
        "" | "null" => Some(0.0),
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" | "INF" | "+INF" => Some(f64::INFINITY),
        "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
        // Rust would also take "inf" and "nan" in any case.
        _ if text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) =>
        {
            None
        }
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn read<'a, V: Value<'a>>(json: &'a str) -> Result<V, &'static str> {
        let mut scan = Scan::new(json.as_bytes()).map_err(|error| error.what())?;
        V::read(&mut scan).map_err(|error| error.what())
    }

    /// Each line: JSON, and what it reads as; `None` is a refusal.
    fn table<'a, V: Value<'a> + PartialEq + Debug>(lines: &[(&'a str, Option<V>)]) {
        for (json, expected) in lines {
            assert_eq!(&read::<V>(json).ok(), expected, "{json}");
        }
    }

    #[test]
    fn text_takes_every_scalar_as_spelled() {
        let text = |text| Some(Some(Text::from(text)));
        table::<Option<Text>>(&[
            (r#""a""#, text("a")),
            (r#""""#, text("")),
            (r#"" a ""#, text(" a ")),
            ("1.50", text("1.50")),
            ("-1e5", text("-1e5")),
            ("18446744073709551616", text("18446744073709551616")),
            ("true", text("true")),
            ("false", text("false")),
            ("null", Some(None)),
            (r#""null""#, text("null")),
            ("{}", None),
            (r#"["a"]"#, None),
        ]);
    }

    #[test]
    fn text_borrows_unless_it_was_escaped() {
        use std::borrow::Cow;
        let borrowed =
            |json| matches!(read::<Option<Text>>(json), Ok(Some(Text(Cow::Borrowed(_)))));
        assert!(borrowed(r#""plain é""#));
        assert!(borrowed("17"));
        assert!(!borrowed(r#""a\nb""#));
    }

    #[test]
    fn whole_numbers_are_java_ints() {
        table::<i64>(&[
            ("0", Some(0)),
            ("-0", Some(0)),
            ("8848", Some(8848)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("-2147483648", Some(-2_147_483_648)),
            ("-2147483649", None),
            ("99999999999999999999", None),
            ("80.9", Some(80)),
            ("-80.9", Some(-80)),
            ("8e1", Some(80)),
            ("2147483647.0", Some(2_147_483_647)),
            ("2147483647.9", None),
            ("2147483648.0", None),
            ("1e999", None),
            (r#""80""#, Some(80)),
            (r#"" 80 ""#, Some(80)),
            (r#""+80""#, Some(80)),
            (r#""-80""#, Some(-80)),
            (r#""""#, Some(0)),
            (r#"" ""#, Some(0)),
            (r#""null""#, Some(0)),
            (r#""80.5""#, None),
            (r#""0x50""#, None),
            (r#""2147483648""#, None),
            (r#""-""#, None),
            ("null", Some(0)),
            ("true", None),
            ("[1]", None),
            ("{}", None),
        ]);
    }

    #[test]
    fn doubles_come_as_numbers_and_as_text() {
        table::<f64>(&[
            ("1", Some(1.0)),
            ("0.5", Some(0.5)),
            ("-1e-3", Some(-0.001)),
            ("1e999", Some(f64::INFINITY)),
            (r#""0.5""#, Some(0.5)),
            (r#"" 2 ""#, Some(2.0)),
            (r#""1e3""#, Some(1000.0)),
            (r#""INF""#, Some(f64::INFINITY)),
            (r#""Infinity""#, Some(f64::INFINITY)),
            (r#""-INF""#, Some(f64::NEG_INFINITY)),
            (r#""-Infinity""#, Some(f64::NEG_INFINITY)),
            (r#""inf""#, None),
            (r#""nan""#, None),
            (r#""heavy""#, None),
            (r#""""#, Some(0.0)),
            (r#""null""#, Some(0.0)),
            ("null", Some(0.0)),
            ("true", None),
            ("[]", None),
        ]);
        assert!(read::<f64>(r#""NaN""#).is_ok_and(f64::is_nan));
    }

    #[test]
    fn booleans_come_as_numbers_and_as_text() {
        table::<bool>(&[
            ("true", Some(true)),
            ("false", Some(false)),
            ("0", Some(false)),
            ("1", Some(true)),
            ("-7", Some(true)),
            ("1.0", None),
            (r#""true""#, Some(true)),
            (r#""True""#, Some(true)),
            (r#""TRUE""#, Some(true)),
            (r#""tRuE""#, None),
            (r#"" false ""#, Some(false)),
            (r#""False""#, Some(false)),
            (r#""FALSE""#, Some(false)),
            (r#""""#, Some(false)),
            (r#""null""#, Some(false)),
            (r#""yes""#, None),
            (r#""1""#, None),
            ("null", Some(false)),
            ("{}", None),
        ]);
    }

    #[test]
    fn pairs_keep_order_and_the_last_of_a_key() {
        let pairs = |pairs: &[(&'static str, &'static str)]| Some(pairs.iter().copied().collect());
        table::<Pairs>(&[
            ("{}", pairs(&[])),
            ("null", pairs(&[])),
            (r#"{"b":"1","a":"2"}"#, pairs(&[("b", "1"), ("a", "2")])),
            (r#"{"a":1,"b":true,"c":0.10}"#, pairs(&[("a", "1"), ("b", "true"), ("c", "0.10")])),
            (r#"{"a":"1","b":"2","a":"3"}"#, pairs(&[("b", "2"), ("a", "3")])),
            (r#"{"a":"1","b":null,"a":null}"#, pairs(&[])),
            (r#"{"a":"1","\u0061":"2"}"#, pairs(&[("a", "2")])),
            (r#"{"a":{}}"#, None),
            (r#"{"a":["x"]}"#, None),
            ("[]", None),
            (r#""""#, None),
        ]);
    }

    #[test]
    fn many_pairs_are_told_apart_by_sorting() {
        let many: String = (0..40).map(|i| format!(r#""{}":"{i}","#, i % 30)).collect();
        let json = format!(r#"{{{many}"x":"y"}}"#);
        let pairs: Pairs = read(&json).unwrap();
        assert_eq!(pairs.len(), 31);
        for i in 0..30 {
            let last = if i < 10 { i + 30 } else { i };
            assert_eq!(pairs.get(&i.to_string()), Some(last.to_string().as_str()));
        }
        assert_eq!(pairs.0[0].0, "10", "the place of the last of a key counts");
    }

    #[test]
    fn flags_follow_the_rules_of_booleans() {
        let flags = |flags: &[(&'static str, bool)]| Some(Some(flags.iter().copied().collect()));
        table::<Option<Flags>>(&[
            ("null", Some(None)),
            ("{}", flags(&[])),
            (r#"{"a":true,"b":"false","c":1}"#, flags(&[("a", true), ("b", false), ("c", true)])),
            (r#"{"a":true,"a":null}"#, flags(&[])),
            (r#"{"a":"maybe"}"#, None),
            ("[true]", None),
        ]);
    }

    #[test]
    fn lists_leave_nulls_out_and_are_bounded() {
        let list = |list: &[&'static str]| {
            Some(Some(list.iter().map(|text| Text::from(*text)).collect::<Vec<_>>()))
        };
        table::<Option<Vec<Text>>>(&[
            ("null", Some(None)),
            ("[]", list(&[])),
            (r#"["a",1,null,true]"#, list(&["a", "1", "true"])),
            (r#"[["a"]]"#, None),
            (r#""a""#, None),
            ("{}", None),
        ]);
        let full = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        let length = |json: &str| read::<Option<Vec<Text>>>(json).map(|list| list.unwrap().len());
        assert_eq!(length(&full(LIST_ITEMS_MAX)), Ok(LIST_ITEMS_MAX));
        assert_eq!(length(&full(LIST_ITEMS_MAX + 1)), Err("a list of more than 65536 items"));
    }
}
