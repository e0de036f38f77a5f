//! Values in one dense row, found by keys that notice when their place was given to somebody else.

/// Names one value for good: whoever comes into its place later has another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    index: u32,
    /// How often the place was left before. It wraps after four thousand million times.
    generation: u32,
}

impl Key {
    /// The first key of a place.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn first(index: u32) -> Key {
        Key { index, generation: 0 }
    }
}

/// The row.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts a value into the place that was left last, else at the end.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, value: None });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.value = Some(value);
        Key { index, generation: place.generation }
    }

    /// Takes a value out; its key is worth nothing from now on.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let place =
            self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.index as usize).filter(|place| place.generation == key.generation)?;
        place.value.as_ref()
    }

    /// The value of a key, to change.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place =
            self.places.get_mut(key.index as usize).filter(|place| place.generation == key.generation)?;
        place.value.as_mut()
    }

    /// All keys, in the order of their places.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        let taken = (0..).zip(&self.places).filter(|(_, place)| place.value.is_some());
        taken.map(|(index, place)| Key { index, generation: place.generation })
    }

    /// All values, in the order of their places.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.value.as_ref())
    }

    /// All values, to change.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().filter_map(|place| place.value.as_mut())
    }

    /// How many values there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_does_not_find_who_came_after() {
        let mut slab = Slab::default();
        let (anna, ben) = (slab.insert("Anna"), slab.insert("Ben"));
        assert_eq!(slab.remove(anna), Some("Anna"));
        let cleo = slab.insert("Cleo");
        assert_eq!(slab.get(anna), None);
        assert_eq!(slab.remove(anna), None);
        assert_eq!((slab.get(ben), slab.get(cleo)), (Some(&"Ben"), Some(&"Cleo")));
        assert_eq!(slab.values().copied().collect::<Vec<_>>(), ["Cleo", "Ben"], "the place was free");
    }

    proptest! {
        /// Over any history it holds what a map holds, in no more places than there ever were values at once.
        #[test]
        fn it_holds_what_a_map_holds(history in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)) {
            let (mut slab, mut map, mut gone, mut most) = (Slab::default(), BTreeMap::new(), Vec::new(), 0);
            for (n, (comes, which)) in history.into_iter().enumerate() {
                if comes || map.is_empty() {
                    prop_assert!(map.insert(slab.insert(n), n).is_none());
                } else {
                    let key = *map.keys().nth(which.index(map.len())).unwrap();
                    prop_assert_eq!(slab.remove(key), map.remove(&key));
                    gone.push(key);
                }
                most = most.max(map.len());
                prop_assert!(map.iter().all(|(key, value)| slab.get(*key) == Some(value)));
                prop_assert!(gone.iter().all(|key| slab.get(*key).is_none()));
                prop_assert_eq!(slab.keys().collect::<Vec<_>>(), map.keys().copied().collect::<Vec<_>>());
                prop_assert_eq!((slab.len(), slab.places.len()), (map.len(), most));
            }
        }
    }
}
