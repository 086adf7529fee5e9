//! Frames that have not come whole. The buffer lives only as long as there is one.

use super::*;

/// What only an incomplete frame or header block needs.
#[derive(Default)]
pub(super) struct Partial {
    pub frame: Vec<u8>,
    pub block: Vec<u8>,
    pub block_stream: u32,
    pub block_frames: u16,
    pub block_end: bool,
}

impl<C: Default> Connection<C> {
    pub(super) fn keep_partial(&mut self, input: &mut &[u8]) {
        let partial = self.partial.get_or_insert_default();
        partial.frame.extend_from_slice(input);
        *input = &[];
    }

    /// Adds to the kept frame what it lacks, and handles it when that is all.
    pub(super) fn complete_partial<'i>(
        &mut self,
        input: &mut &'i [u8],
        core: &mut Core,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'i, C>>, Reason> {
        let mut kept = match &mut self.partial {
            Some(partial) => std::mem::take(&mut partial.frame),
            None => Vec::new(),
        };
        fill(&mut kept, HEAD_BYTES, input);
        if let Some(frame) = Frame::parse(&kept) {
            if kept.len() == HEAD_BYTES {
                self.check_frame(&frame)?;
            }
            if frame.kind == Kind::Data {
                self.drop_partial();
                return self.open_data(&frame, core, out);
            }
            fill(&mut kept, HEAD_BYTES + frame.bytes, input);
            if kept.len() == HEAD_BYTES + frame.bytes {
                self.drop_partial();
                return self.handle(&frame, &kept[HEAD_BYTES..], core, out);
            }
        }
        self.partial.get_or_insert_default().frame = kept;
        Ok(None)
    }

    /// Frees the buffer unless a header block is being gathered.
    pub(super) fn drop_partial(&mut self) {
        if self.partial.as_ref().is_some_and(|partial| partial.block_stream == 0) {
            self.partial = None;
        }
    }
}

/// Moves bytes from `input` until `kept` has `wanted`, or the input ends.
fn fill(kept: &mut Vec<u8>, wanted: usize, input: &mut &[u8]) {
    let bytes = wanted.saturating_sub(kept.len()).min(input.len());
    kept.extend_from_slice(&input[..bytes]);
    *input = &input[bytes..];
}
