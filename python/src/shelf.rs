//! Where a model keeps what one answer leaves for the next.

use seekvl::Recall;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Room for one [`Recall`], which one answer at a time may take. Answers that are made meanwhile go without.
#[derive(Clone)]
pub struct Shelf(Option<Arc<Mutex<Option<Recall>>>>);

/// What was taken. It goes back when it is dropped.
pub struct Taken {
    recall: Recall,
    home: Option<Arc<Mutex<Option<Recall>>>>,
}

impl Shelf {
    /// Keeps things, or nothing ever.
    pub fn new(keeps: bool) -> Self {
        Self(keeps.then(|| Arc::new(Mutex::new(Some(Recall::default())))))
    }

    /// What is kept, unless another answer has it.
    pub fn take(&self) -> Taken {
        let kept = self.0.as_ref().and_then(|home| lock(home).take().map(|recall| (recall, home.clone())));
        match kept {
            Some((recall, home)) => Taken { recall, home: Some(home) },
            None => Taken { recall: Recall::new(0), home: None },
        }
    }

    /// Forgets what is kept. An answer that is being made keeps what it has taken, and brings it back.
    pub fn clear(&self) {
        if let Some(home) = &self.0
            && let Some(recall) = lock(home).as_mut()
        {
            recall.clear();
        }
    }
}

impl Deref for Taken {
    type Target = Recall;

    fn deref(&self) -> &Recall {
        &self.recall
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut Recall {
        &mut self.recall
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            *lock(home) = Some(std::mem::take(&mut self.recall));
        }
    }
}

fn lock(home: &Mutex<Option<Recall>>) -> MutexGuard<'_, Option<Recall>> {
    home.lock().unwrap_or_else(PoisonError::into_inner)
}
