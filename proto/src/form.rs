//! How a JSON object becomes a request struct: a list of wire names beside each struct, no derive.

use crate::scan::{ParseError, Scan};

/// A struct read member by member. Its `Default` holds Jackson's initial values, kept by absent
/// members.
pub(crate) trait Form<'a>: Default {
    /// Reads or passes over the value of one member.
    fn member(&mut self, name: &str, scan: &mut Scan<'a>) -> Result<(), ParseError>;
}

/// Reads one object at the scan; `None` for null.
pub(crate) fn read<'a, F: Form<'a>>(scan: &mut Scan<'a>) -> Result<Option<F>, ParseError> {
    if scan.null()? {
        return Ok(None);
    }
    let mut form = F::default();
    scan.object(|scan, name| form.member(&name, scan))?;
    Ok(Some(form))
}

/// Reads a whole body; `None` for null.
pub(crate) fn parse<'a, F: Form<'a>>(body: &'a [u8]) -> Result<Option<F>, ParseError> {
    let mut scan = Scan::new(body)?;
    if scan.is_done() {
        return Err(scan.error("the body is empty"));
    }
    read(&mut scan)
}

/// Declares the members of a form: wire name, then field.
macro_rules! form {
    ($form:ident { $($wire:literal => $field:ident),* $(,)? }) => {
        impl<'a> $crate::form::Form<'a> for $form<'a> {
            fn member(
                &mut self,
                name: &str,
                scan: &mut $crate::scan::Scan<'a>,
            ) -> Result<(), $crate::scan::ParseError> {
                match name {
                    $($wire => {
                        self.$field = $crate::value::Value::read(scan)
                            .map_err(|error| error.within($wire))?;
                    })*
                    _ => scan.skip()?,
                }
                Ok(())
            }
        }
    };
}

pub(crate) use form;
