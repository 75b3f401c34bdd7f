//! unbalanced
