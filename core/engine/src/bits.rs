//! A growing set of small numbers: which agents fit, are ready, have room.

/// A set of agent slots. Setting and asking are one memory access; counting is a scan of words.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitSet {
    words: Vec<u64>,
    /// How many bits are set, so that "nobody" is known without a scan.
    ones: usize,
}

impl BitSet {
    /// Sets or clears a bit; `true` if that changed it.
    pub(crate) fn put(&mut self, at: u32, on: bool) -> bool {
        let (word, mask) = (at as usize / 64, 1_u64 << (at % 64));
        if self.words.len() <= word {
            if !on {
                return false;
            }
            self.words.resize(word + 1, 0);
        }
        let was = self.words[word] & mask != 0;
        if was == on {
            return false;
        }
        self.words[word] ^= mask;
        self.ones = if on { self.ones + 1 } else { self.ones - 1 };
        true
    }

    pub(crate) fn contains(&self, at: u32) -> bool {
        self.words.get(at as usize / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// The first `n` numbers.
    pub(crate) fn first(n: u32) -> Self {
        let mut words = vec![u64::MAX; n as usize / 64];
        if !n.is_multiple_of(64) {
            words.push((1 << (n % 64)) - 1);
        }
        Self { words, ones: n as usize }
    }

    fn of_words(words: Vec<u64>) -> Self {
        let ones = words.iter().map(|word| word.count_ones() as usize).sum();
        Self { words, ones }
    }

    /// Those in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self::of_words(self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect())
    }

    /// Those in either.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let (short, long) =
            if self.words.len() < other.words.len() { (self, other) } else { (other, self) };
        let mut words = long.words.clone();
        words.iter_mut().zip(&short.words).for_each(|(word, more)| *word |= more);
        Self::of_words(words)
    }

    /// Those in this one only.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut words = self.words.clone();
        words.iter_mut().zip(&other.words).for_each(|(word, less)| *word &= !less);
        Self::of_words(words)
    }

    pub(crate) const fn len(&self) -> usize {
        self.ones
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.ones == 0
    }

    /// How many are in both.
    pub(crate) fn count_and(&self, other: &Self) -> usize {
        let both = self.words.iter().zip(&other.words);
        both.map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        bits(self.words.iter().copied())
    }

    /// Those in both, in rising order.
    pub(crate) fn iter_and<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        bits(self.words.iter().zip(&other.words).map(|(a, b)| a & b))
    }
}

fn bits(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
    words.enumerate().flat_map(|(at, word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            Some(at as u32 * 64 + bit)
        })
    })
}
