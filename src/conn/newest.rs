//! Connections with the same client, virtual address and ports.
//!
//! A SIP server that opens a call to a client with a connection to another server makes a second one (`--pe sip`). As in
//! IPVS the client's packets belong to the newest connection, and the replies of each server to its own. The index has
//! only the newest one under the original tuple. The next older one is indexed under the tuple with a protocol number
//! that no connection has, and so on. When a connection ends, the older ones move up. An older one by direct routing or
//! a tunnel is not found by replies that come through the director; they are routed all the same.

use super::connection::{Connection, ConnectionId, Direction};
use super::hash::Hash;
use super::table::{Table, TableFull};
use crate::packet::{Address, Tuple};

/// Protocol number of the first older connection; the next ones follow. IANA has assigned none of them.
const FIRST: u8 = 200;
/// Older connections of one tuple with a known order; further ones share the last number.
const RANKS: u8 = 8;

impl<A: Address> Table<A> {
    /// As [`Table::insert`], but there may be connections with the same original tuple. From now on packets with this
    /// tuple belong to the new one.
    ///
    /// # Errors
    /// As [`Table::insert`].
    pub fn insert_newest(
        &mut self,
        connection: Connection<A>,
        now_ms: u32,
    ) -> Result<ConnectionId, TableFull> {
        let tuple = connection.original_tuple();
        let hash = self.hash(&tuple);
        if !self.is_full()
            && let Some((id, Direction::Original)) = self.find(hash, &tuple)
            && self.index.remove(hash, id.number())
        {
            self.older += 1;
            self.index_older(id.number(), &tuple);
        }
        self.insert(connection, now_ms)
    }

    /// Removes the reference to connection `number` by its original tuple, if there may be older connections. Returns
    /// true if it existed. `was_newest`: it was removed from the place of the newest one already.
    #[cold]
    pub(super) fn unindex_among_older(
        &mut self,
        number: u32,
        original: Hash,
        was_newest: bool,
    ) -> bool {
        let tuple = self.entries[number as usize].original_tuple();
        if was_newest {
            self.older -= u32::from(self.move_up(&tuple, original, 0));
            return true;
        }
        for rank in 0..RANKS {
            let hash = self.hash_of_older(&tuple, rank);
            if self.index.remove(hash, number) {
                self.older -= 1;
                self.move_up(&tuple, hash, rank + 1);
                return true;
            }
        }
        false
    }

    /// Makes connection `number` the newest of the older ones.
    fn index_older(&mut self, number: u32, tuple: &Tuple<A>) {
        let mut number = number;
        for rank in 0..RANKS {
            let hash = self.hash_of_older(tuple, rank);
            match self.find_older(tuple, hash) {
                Some(next) if rank + 1 < RANKS && self.index.replace(hash, next, number) => {
                    number = next;
                }
                _ => return self.index.insert(hash, number),
            }
        }
    }

    /// Moves the older connections from `rank` on up by one; the first one to `to`. False if there is none.
    fn move_up(&mut self, tuple: &Tuple<A>, to: Hash, rank: u8) -> bool {
        let (mut to, mut has_moved) = (to, false);
        for rank in rank..RANKS {
            let hash = self.hash_of_older(tuple, rank);
            let Some(number) = self.find_older(tuple, hash) else { break };
            self.index.remove(hash, number);
            self.index.insert(to, number);
            (to, has_moved) = (hash, true);
        }
        has_moved
    }

    fn hash_of_older(&self, tuple: &Tuple<A>, rank: u8) -> Hash {
        self.hash(&Tuple { protocol: FIRST + rank, ..*tuple })
    }

    fn find_older(&self, tuple: &Tuple<A>, hash: Hash) -> Option<u32> {
        let is_same = |number: u32| self.entries[number as usize].is_original(tuple);
        self.index.find(hash, |number| is_same(number).then_some(number))
    }
}
