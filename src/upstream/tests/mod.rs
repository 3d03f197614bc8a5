//! Tests of the whole module: a simulation of an account's traffic.

mod simulation;
