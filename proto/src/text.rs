//! The leniency Jackson grants and real clients rely on.
use serde::Deserialize;
use std::borrow::Cow;
/// Text.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);
/// A JSON object of text to text.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct Pairs<'a>(#[serde(borrow)] pub Vec<(Text<'a>, Text<'a>)>);
/// A JSON object of text to boolean.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct Flags<'a>(#[serde(borrow)] pub Vec<(Text<'a>, bool)>);
