//! End-to-end tests: the chart is installed on a real cluster, and everything goes through objects and gRPC.

mod bad_input;
mod chart;
mod faults;
mod identity;
mod money;
