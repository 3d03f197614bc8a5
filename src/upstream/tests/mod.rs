//! Tests of the whole room: a simulation of an account's traffic.

mod simulation;
