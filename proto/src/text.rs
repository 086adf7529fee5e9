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
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Items of a list in a request (`instances`, `receivedGroupKeys`). Real batches have tens; the
/// bound keeps `[{},{},…]` from taking a hundred times its own size in memory. Beyond it the body
/// is refused.
pub const LIST_ITEMS_MAX: usize = 65_536;

/// Text of a request. Borrows from the received bytes unless it was escaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<'a>(pub Cow<'a, str>);

/// A JSON object of text to text, each key once, in the client's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs<'a>(pub Vec<(Text<'a>, Text<'a>)>);

/// A JSON object of text to boolean, each key once, in the client's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags<'a>(pub Vec<(Text<'a>, bool)>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl<'a> Pairs<'a> {
    /// The value of a key. Linear: objects on this wire are small.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| **name == *key).map(|(_, value)| value.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Pairs<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl Flags<'_> {
    /// The value of a key; false when it is not there. Linear.
    pub fn get(&self, key: &str) -> bool {
        self.0.iter().any(|(name, value)| **name == *key && *value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<(&'a str, bool)> for Flags<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, bool)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

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
        read_list(scan, |scan| Option::<Text>::read(scan))
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

/// A float as a whole number, its fraction cut off.
fn cut(value: f64) -> Option<i64> {
    // The cast saturates; the caller refuses what is outside of an `int`.
    value.is_finite().then_some(value as i64)
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
