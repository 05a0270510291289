//! Experts that stay in their files until tokens are sent to them.

use crate::{Error, GatedMlp, Loader, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The experts of a model that are in memory: never more than a budget of bytes. Those that were used least recently make
/// room for others.
///
/// It keeps copies in memory of its own, read from the files, since pages of a map come and go as the system likes. Passes that
/// run at the same time take turns at it, so that none needs experts which another has let go.
pub struct ExpertStore {
    budget: u64,
    state: Mutex<State>,
}

/// What an [`ExpertStore`] has done so far. Numbers only grow, but for `resident`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpertCounts {
    /// Times that a pass sent tokens to an expert which was in memory.
    pub hits: u64,
    /// Times that it had to be read.
    pub reads: u64,
    /// Bytes that were read from the files.
    pub bytes_read: u64,
    /// Bytes of the experts that are in memory.
    pub resident: u64,
    /// The most that those ever were.
    pub most_resident: u64,
}

/// An expert's layer of the model, by the order of loading, and its number there.
type Key = (usize, usize);

#[derive(Default)]
struct State {
    resident: HashMap<Key, Resident>,
    /// Layers that have experts here.
    layers: usize,
    /// Groups that were brought.
    time: u64,
    counts: ExpertCounts,
}

struct Resident {
    expert: GatedMlp,
    bytes: u64,
    used: u64,
}

/// Where one expert is, and what it takes.
pub(crate) struct Stored {
    pub loader: Loader,
    /// In memory.
    pub bytes: u64,
    /// In the files.
    pub file_bytes: u64,
}

/// The experts of one layer, in a store that all layers share.
pub(crate) struct StoredLayer {
    pub layer: usize,
    pub hidden: usize,
    pub inner: usize,
    pub experts: Vec<Stored>,
}

impl StoredLayer {
    /// Bytes that the largest takes in memory.
    pub fn bytes_of_one(&self) -> u64 {
        self.experts.iter().map(|expert| expert.bytes).max().unwrap_or(0)
    }
}

impl ExpertStore {
    /// With nothing in it yet.
    pub fn new(budget: u64) -> Self {
        Self { budget, state: Mutex::default() }
    }

    /// The most bytes of experts in memory.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// What it has done so far.
    pub fn counts(&self) -> ExpertCounts {
        self.lock().counts
    }

    /// A place for the experts of one more layer.
    ///
    /// # Errors
    /// [`Error::ExpertBudget`] if there is one that the budget has no room for.
    pub(crate) fn add(&self, hidden: usize, inner: usize, experts: Vec<Stored>) -> Result<StoredLayer> {
        let mut state = self.lock();
        let layer = StoredLayer { layer: state.layers, hidden, inner, experts };
        let needed = layer.bytes_of_one();
        if needed > self.budget {
            return Err(Error::ExpertBudget { budget: self.budget, needed });
        }
        state.layers += 1;
        Ok(layer)
    }

    /// Runs `f` over the experts of `layer` that `wanted` names, together with what it says of them, as many at a time as
    /// the budget has room for, in order.
    pub(crate) fn each_group<T: Copy>(
        &self,
        layer: &StoredLayer,
        wanted: &[(usize, T)],
        mut f: impl FnMut(&[(&GatedMlp, T)]) -> Result<()>,
    ) -> Result<()> {
        let mut state = self.lock();
        let mut rest = wanted;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |(expert, _): &&(usize, T)| {
                bytes += layer.experts[*expert].bytes;
                bytes <= self.budget
            };
            let (group, others) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            state.bring(self.budget, layer, group.iter().map(|(expert, _)| *expert))?;
            let resident =
                |&(expert, with): &(usize, T)| Some((&state.resident.get(&(layer.layer, expert))?.expert, with));
            let experts: Vec<_> = group.iter().filter_map(resident).collect();
            f(&experts)?;
            rest = others;
        }
        Ok(())
    }

    /// A panic elsewhere leaves nothing half done: experts are entered whole, and counted then.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ExpertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpertStore").field("budget", &self.budget).field("counts", &self.counts()).finish()
    }
}

impl State {
    /// Sees to it that all of `group` are in memory; together they are within the budget.
    fn bring(&mut self, budget: u64, layer: &StoredLayer, group: impl Iterator<Item = usize> + Clone) -> Result<()> {
        self.time += 1;
        for expert in group.clone() {
            if let Some(resident) = self.resident.get_mut(&(layer.layer, expert)) {
                resident.used = self.time;
                self.counts.hits += 1;
            }
        }
        for expert in group {
            if self.resident.contains_key(&(layer.layer, expert)) {
                continue;
            }
            let stored = &layer.experts[expert];
            self.make_room(budget - stored.bytes);
            let read = stored.loader.read_gated_mlp(layer.hidden, layer.inner)?;
            let resident = Resident { expert: read, bytes: stored.bytes, used: self.time };
            self.resident.insert((layer.layer, expert), resident);
            let counts = &mut self.counts;
            counts.reads += 1;
            counts.bytes_read += stored.file_bytes;
            counts.resident += stored.bytes;
            counts.most_resident = counts.most_resident.max(counts.resident);
        }
        Ok(())
    }

    /// Lets experts go that the present group does not need, until the others take no more than `bytes`.
    fn make_room(&mut self, bytes: u64) {
        while self.counts.resident > bytes {
            let idle = self.resident.iter().filter(|(_, resident)| resident.used < self.time);
            let Some(key) = idle.min_by_key(|(key, resident)| (resident.used, **key)).map(|(key, _)| *key) else {
                return;
            };
            if let Some(gone) = self.resident.remove(&key) {
                self.counts.resident -= gone.bytes;
            }
        }
    }
}
