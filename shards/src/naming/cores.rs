//! A set of cores, small because every service has two.

use crate::key::Core;

/// A set of cores. Up to 64 cores without a heap allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cores {
    low: u64,
    high: Option<Box<[u64]>>,
}

// Two of these are in every service.
const _: () = assert!(size_of::<Cores>() <= 24);

impl Cores {
    /// True if it was not in the set.
    pub fn insert(&mut self, core: Core) -> bool {
        let (word, bit) = self.place(core, true).expect("room was made");
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// True if it was in the set.
    pub fn remove(&mut self, core: Core) -> bool {
        let Some((word, bit)) = self.place(core, false) else { return false };
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }

    pub fn contains(&self, core: Core) -> bool {
        let bit = 1 << (core.0 % 64);
        let word = match core.0 / 64 {
            0 => Some(&self.low),
            at => self.high.as_ref().and_then(|high| high.get(usize::from(at) - 1)),
        };
        word.is_some_and(|word| word & bit != 0)
    }

    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.high.iter().flatten().all(|word| *word == 0)
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Core> + '_ {
        let words = std::iter::once(self.low).chain(self.high.iter().flatten().copied());
        words.enumerate().flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(Core((at as u32 * 64 + bit) as u16))
            })
        })
    }

    fn place(&mut self, core: Core, grow: bool) -> Option<(&mut u64, u64)> {
        let bit = 1 << (core.0 % 64);
        let at = usize::from(core.0 / 64);
        if at == 0 {
            return Some((&mut self.low, bit));
        }
        if grow && self.high.as_ref().is_none_or(|high| high.len() < at) {
            let mut words = self.high.take().unwrap_or_default().into_vec();
            words.resize(at, 0);
            self.high = Some(words.into_boxed_slice());
        }
        Some((self.high.as_mut()?.get_mut(at - 1)?, bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((0u16..300, any::<bool>()), 0..200)) {
            let mut cores = Cores::default();
            let mut model = BTreeSet::new();
            for (core, add) in steps {
                let core = Core(core);
                if add {
                    prop_assert_eq!(cores.insert(core), model.insert(core));
                } else {
                    prop_assert_eq!(cores.remove(core), model.remove(&core));
                }
                prop_assert_eq!(cores.contains(core), model.contains(&core));
            }
            prop_assert_eq!(cores.is_empty(), model.is_empty());
            let expected: Vec<Core> = model.into_iter().collect();
            prop_assert_eq!(cores.iter().collect::<Vec<_>>(), expected);
        }
    }
}
