// SPDX-License-Identifier: GPL-2.0-only
//! RCU read sections.
use core::marker::PhantomData;

use crate::abi;
use crate::error::{Error, Result};

/// An RCU read section, which ends when this is dropped.
///
/// Programs always run in one; use this for code that needs its own section.
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
