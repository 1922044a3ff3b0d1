//! A guard: one guarded table with its profile; sets of guards.

/// Which guard, as an index into [`Guards`](crate::Guards).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GuardId(pub(crate) u8);

/// The most guards that one configuration may have: [`GuardSet`] is one machine word pair.
pub const GUARDS_MAX: usize = 128;

/// A set of guards, cheap to copy.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct GuardSet(u128);

impl GuardSet {
    /// No guard.
    pub const EMPTY: Self = Self(0);
    /// Adds one.
    pub fn insert(&mut self, guard: GuardId) {
        self.0 |= 1 << guard.0;
    }
    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Whether `guard` is in it.
    #[must_use]
    pub const fn contains(self, guard: GuardId) -> bool {
        self.0 & (1 << guard.0) != 0
    }
    /// Those in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Those in `self` and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
