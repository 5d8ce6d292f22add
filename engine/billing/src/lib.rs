//! Billing as pure functions: [`Cycle`] says from when to when an invoice goes, [`Plan`] what usage costs, and
//! [`Plan::bill`] turns [`Usage`] into a [`Statement`] of lines, taxes and a total.
//!
//! What always holds:
//! - Amounts are integers of minor units, prices are integers of fixed decimals. A line is computed exactly and rounded
//!   once, half up; nothing else is rounded but a tax, once per rate.
//! - Parts add up: the discount and each tax are shared out over the lines by largest remainder, so the lines' nets and
//!   taxes sum to the total, to the minor unit.
//! - A period in which the plan changed is cut ([`divide`]); each part has its share of what a plan says for a whole one, and
//!   the shares of one amount sum to it ([`Statement::of_parts`]).
//! - No amount of a statement is negative, and the same arguments give the same statement on every machine: time zones
//!   are those of the binary.
//! - [`Standing`] says what is due of an invoice, [`consume`] which prepaid credits pay for it. What is due and what is to
//!   be given back are never both more than zero, and no credit is used beyond what was granted.
//! - [`Threshold`] says whether a bound is met that somebody wants to be told of.
//! - There is no async, I/O, clock, randomness or logging here. Time is an argument.

mod agreed;
mod apportion;
mod cycle;
mod fault;
mod plan;
mod prepaid;
mod price;
mod prorate;
mod rate;
mod settle;
mod statement;
mod threshold;
mod usage;

pub use agreed::{Agreement, PARTS_MAX, divide};
pub use apportion::apportion;
pub use cycle::{Cycle, CycleError, Period, Unit};
pub use fault::Fault;
pub use plan::{Discount, EVENTS_MAX, EventPrice, Plan, Price, TaxRate, Terms, is_event_name};
pub use prepaid::{Credit, Use, consume};
pub use price::{Model, PRICES_MAX, TIERS_MAX, Tier};
pub use rate::{RATE_DECIMALS, Rate, RateError};
pub use settle::{Standing, State, Step, share_tax};
pub use statement::{Item, Line, Overflow, Part, Statement, Tax};
pub use threshold::{Measure, THRESHOLDS_MAX, Threshold};
pub use usage::{API_CALLS, METRICS, Metric, RESERVED, Usage};
