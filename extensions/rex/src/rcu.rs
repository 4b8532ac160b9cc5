// SPDX-License-Identifier: GPL-2.0-only
//! RCU read sections.
use core::marker::PhantomData;

use crate::abi;
use crate::error::{Error, Result};

/// A section that RCU's writers wait for; it ends when this is dropped.
///
/// Programs run in one anyway: this is for what has to be one of its own.
#[must_use = "the section ends when this is dropped"]
pub struct Rcu(PhantomData<*const ()>);

impl Rcu {
    /// Begin a section. [`Error::NO_ROOM`] if the ledger is full.
    pub fn lock() -> Result<Rcu> {
        Error::check(abi::rex_rcu_lock().into())?;
        Ok(Rcu(PhantomData))
    }
}

impl Drop for Rcu {
    fn drop(&mut self) {
        abi::rex_rcu_unlock();
    }
}
