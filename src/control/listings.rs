//! Listings under way.

use super::server::ReplyChannel;
use crate::query::{Listing, Walk};
use std::collections::VecDeque;

/// Listings under way.
#[derive(Default)]
pub(super) struct Listings {
    /// Of the control thread's own state.
    pub(super) own: VecDeque<(Box<dyn Listing>, ReplyChannel)>,
    /// Of the workers' tables. The first may have a piece with a worker; `is_asked` then.
    pub(super) walks: VecDeque<(Walk, ReplyChannel)>,
    pub(super) is_asked: bool,
}

impl Listings {
    pub(super) fn add_listing(&mut self, listing: Box<dyn Listing>, answer: ReplyChannel) {
        self.own.push_back((listing, answer));
    }

    pub(super) fn add_walk(&mut self, walk: Walk, answer: ReplyChannel) {
        self.walks.push_back((walk, answer));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.walks.is_empty()
    }
}
