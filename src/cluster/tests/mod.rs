//! Tests of the fleet's protocol: an in-process double of Redis, its comparison with a real server,
//! and a simulation of a fleet with faults.

mod conformance;
pub(super) mod in_memory_bus;
mod simulation;
