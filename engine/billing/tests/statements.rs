//! Statements by hand, and a random million of them against what must hold of each.
// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use payplane_billing::{
    Credit, Discount, EventPrice, Item, METRICS, Metric, Model, Plan, Price, Rate, Standing, Statement, Step,
    TaxRate, Terms, Tier, Usage, apportion, consume, share_tax,
};
use payplane_ledger::{Currency, Timestamp};

/// `PAYPLANE_PROVE=1` asks for the full size.
fn cases() -> u32 {
    if std::env::var_os("PAYPLANE_PROVE").is_some() { 1_000_000 } else { 50_000 }
}

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

fn terms() -> Terms {
    Terms {
        version: "1".to_owned(),
        currency: Currency::parse("USD").unwrap(),
        base_fee: 0,
        prices: Vec::new(),
        events: Vec::new(),
        minimum: 0,
        discount: None,
        discount_until_us: None,
        taxes: Vec::new(),
    }
}

fn price(metric: Metric, free: i64, model: Model) -> Price {
    Price { metric, free, model }
}

#[test]
fn a_statement_by_hand() {
    let tiers = vec![
        Tier { up_to: Some(1_000), unit: rate("0.10"), flat_minor: 0 },
        Tier { up_to: None, unit: rate("0.07"), flat_minor: 0 },
    ];
    let plan = Plan::new(Terms {
        base_fee: 4_900,
        prices: vec![
            price(Metric::Volume, 100_000, Model::Flat(rate("0.0025"))),
            price(Metric::Payments, 100, Model::Graduated(tiers)),
            price(Metric::ActiveWallets, 0, Model::Package { size: 10, minor: 300 }),
        ],
        discount: Some(Discount::Percent(rate("10"))),
        taxes: vec![
            TaxRate { name: "VAT".to_owned(), percent: rate("8.1") },
            TaxRate { name: "city".to_owned(), percent: rate("0.5") },
        ],
        ..terms()
    })
    .unwrap();
    let usage = Usage { payments: 1_300, volume: 1_234_567, active_wallets: 21, ..Usage::default() };
    let found = plan.bill(&usage).unwrap();
    let lines: Vec<_> =
        found.lines.iter().map(|line| (line.item.clone(), line.quantity, line.free, line.amount)).collect();
    assert_eq!(
        lines,
        [
            (Item::BaseFee, 1, 0, 4_900),
            // 1,000 at 10 cents and 200 at 7.
            (Item::Usage(Metric::Payments), 1_300, 100, 11_400),
            // 11,345.67 at a quarter of a percent: 28.364175.
            (Item::Usage(Metric::Volume), 1_234_567, 100_000, 2_836),
            (Item::Usage(Metric::ActiveWallets), 21, 0, 900),
        ]
    );
    // 200.36 less 20.04 is 180.32; 8.1 % of it are 14.60592, half a percent 0.9016.
    assert_eq!((found.subtotal, found.discount), (20_036, 2_004));
    assert_eq!(found.taxes.iter().map(|tax| tax.amount).collect::<Vec<_>>(), [1_461, 90]);
    assert_eq!(found.total, 18_032 + 1_461 + 90);
    // 2,004 by 4,900, 11,400, 2,836 and 900: 490.098, 1,140.228, 283.656, 90.018.
    assert_eq!(found.lines.iter().map(|line| line.discount).collect::<Vec<_>>(), [490, 1_140, 284, 90]);
    holds(&found);
}

#[test]
fn minimum_and_discount_have_their_bounds() {
    let bill = |terms: Terms| Plan::new(terms).unwrap().bill(&Usage::default()).unwrap();
    let least = bill(Terms { base_fee: 300, minimum: 1_000, ..terms() });
    let items: Vec<_> = least.lines.iter().map(|line| (line.item.clone(), line.amount)).collect();
    assert_eq!((items, least.total), (vec![(Item::BaseFee, 300), (Item::Minimum, 700)], 1_000));
    let free = bill(Terms { base_fee: 300, discount: Some(Discount::Amount(1_000)), ..terms() });
    assert_eq!((free.subtotal, free.discount, free.total), (300, 300, 0));
    let nothing =
        bill(Terms { taxes: vec![TaxRate { name: "VAT".to_owned(), percent: rate("20") }], ..terms() });
    assert_eq!((nothing.lines.len(), nothing.taxes[0].amount, nothing.total), (0, 0, 0));
}

#[test]
fn a_discount_ends_with_what_begins_then() {
    let discount = Some(Discount::Percent(rate("10")));
    let until = |until| Terms { base_fee: 1_000, discount, discount_until_us: until, ..terms() };
    for (discount_until_us, off) in [(None, 100), (Some(99), 0), (Some(100), 0), (Some(101), 100)] {
        let plan = Plan::new(until(discount_until_us)).unwrap();
        let bill = plan.holding_from(Timestamp(100)).bill(&Usage::default()).unwrap();
        assert_eq!((bill.subtotal, bill.discount), (1_000, off), "{discount_until_us:?}");
    }
}

#[test]
fn what_flows_is_projected_and_what_stands_stays() {
    let usage = Usage {
        payments: 3,
        volume: 1_000,
        active_wallets: 5,
        storage: 70,
        api_calls: 1,
        events: [("calls".to_owned(), 2)].into(),
        ..Usage::default()
    };
    // Elapsed, length, payments, volume, API calls, events of others.
    let cases = [
        (10, 30, [9, 3_000, 3, 6]),
        (20, 30, [5, 1_500, 2, 3]),
        (30, 30, [3, 1_000, 1, 2]),
        (40, 30, [3, 1_000, 1, 2]),
        (0, 30, [3, 1_000, 1, 2]),
    ];
    for (elapsed, length, [payments, volume, api_calls, events]) in cases {
        let projected = usage.projected(elapsed, length).unwrap();
        let calls = projected.events["calls"];
        let flows = [projected.payments, projected.volume, projected.api_calls, calls];
        assert_eq!(flows, [payments, volume, api_calls, events], "{elapsed} of {length}");
        assert_eq!((projected.active_wallets, projected.storage), (5, 70));
    }
    assert_eq!(Usage { payments: i64::MAX, ..Usage::default() }.projected(1, 2), None);
}

#[test]
fn plans_that_make_no_sense_are_refused_by_field() {
    let refused =
        |terms: Terms| Plan::new(terms).unwrap_err().into_iter().map(|f| f.field).collect::<Vec<_>>();
    let tax = |name: &str, percent: &str| TaxRate { name: name.to_owned(), percent: rate(percent) };
    let flat = |metric| price(metric, 0, Model::Flat(rate("1")));
    let event = |name: &str, free| EventPrice { name: name.to_owned(), free, model: Model::Flat(rate("1")) };
    let cases = [
        (Terms { version: String::new(), ..terms() }, vec!["version"]),
        (Terms { base_fee: -1, minimum: -1, ..terms() }, vec!["base_fee", "minimum"]),
        (Terms { discount: Some(Discount::Amount(0)), ..terms() }, vec!["discount.amount"]),
        (Terms { discount: Some(Discount::Percent(rate("100.1"))), ..terms() }, vec!["discount.percent"]),
        (Terms { discount_until_us: Some(1), ..terms() }, vec!["discount.end_time"]),
        (
            Terms { prices: vec![flat(Metric::Holds), flat(Metric::Holds)], ..terms() },
            vec!["prices[1].metric"],
        ),
        (
            Terms { prices: vec![Price { free: -1, ..flat(Metric::Holds) }], ..terms() },
            vec!["prices[0].free"],
        ),
        (
            Terms { prices: vec![price(Metric::Holds, 0, Model::Package { size: 0, minor: 1 })], ..terms() },
            vec!["prices[0].package.size"],
        ),
        (
            Terms {
                prices: vec![flat(Metric::Holds)],
                events: vec![
                    event("Calls", -1),
                    event("a", 0),
                    event("a", 0),
                    event("payplane.api-calls", 0),
                ],
                ..terms()
            },
            vec!["prices[1].event", "prices[1].free", "prices[3].event", "prices[4].event"],
        ),
        (
            Terms { taxes: vec![tax("a", "101"), tax("a", "1")], ..terms() },
            vec!["taxes[0].percent", "taxes[1].name"],
        ),
    ];
    for (terms, fields) in cases {
        assert_eq!(refused(terms), fields);
    }
}

#[test]
fn an_amount_that_leaves_64_bits_is_said() {
    let plan = Plan::new(Terms {
        base_fee: i64::MAX,
        prices: vec![price(Metric::Payments, 0, Model::Flat(rate("1")))],
        ..terms()
    });
    assert!(plan.unwrap().bill(&Usage { payments: 1, ..Usage::default() }).is_err());
}

#[test]
fn random_statements_add_up_and_each_line_is_exact() {
    let mut random = SplitMix(11);
    let (mut billed, mut discounted, mut taxed, mut topped_up, mut tiered, mut events) =
        (0, 0, 0, 0, 0, 0_u32);
    for _ in 0..cases() {
        let terms = random_terms(&mut random);
        let usage = random_usage(&mut random);
        let plan = Plan::new(terms.clone()).unwrap();
        let found = plan.bill(&usage).unwrap();
        holds(&found);
        for line in &found.lines {
            if let Item::Event(name) = &line.item {
                let price = terms.events.iter().find(|price| price.name == *name).unwrap();
                let used = usage.events.get(name).copied().unwrap_or_default();
                assert_eq!((line.quantity, line.free), (used, price.free.min(used)));
                let cost = by_hand(&price.model, line.quantity - line.free, Metric::Payments);
                assert_eq!(i128::from(line.amount), cost);
                events += 1;
            }
            let Item::Usage(metric) = line.item else { continue };
            let price = terms.prices.iter().find(|price| price.metric == metric).unwrap();
            assert_eq!(line.quantity, usage.of(metric));
            assert_eq!(line.free, price.free.min(line.quantity));
            assert_eq!(i128::from(line.amount), by_hand(&price.model, line.quantity - line.free, metric));
            tiered += u32::from(matches!(price.model, Model::Graduated(_) | Model::Volume(_)));
        }
        assert!(terms.minimum <= found.subtotal);
        assert_eq!(plan.bill(&usage).as_ref(), Ok(&found));
        billed += u32::from(0 < found.total);
        discounted += u32::from(0 < found.discount);
        taxed += u32::from(found.taxes.iter().any(|tax| 0 < tax.amount));
        topped_up += u32::from(found.lines.iter().any(|line| line.item == Item::Minimum));
    }
    println!(
        "{} statements: {billed} with something due, {discounted} discounted, {taxed} taxed, {topped_up} topped up, \
         {tiered} tiered lines, {events} of events",
        cases()
    );
    let often = cases() / 20;
    assert!([billed, discounted, taxed, topped_up, tiered, events].iter().all(|count| often < *count));
}

#[test]
fn random_splits_sum_to_the_whole_and_are_fair() {
    let mut random = SplitMix(7);
    let mut uneven = 0;
    for _ in 0..cases() {
        let whole = match random.below(4) {
            0 => i64::MAX,
            _ => random.below(100_000),
        };
        let count = 1 + random.below(8);
        let weights: Vec<i64> =
            (0..count).map(|_| if random.below(5) == 0 { 0 } else { 1 + random.below(1 << 40) }).collect();
        let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
        let Some(parts) = apportion(whole, &weights) else {
            assert_eq!(total, 0);
            continue;
        };
        assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(whole));
        for (part, weight) in parts.iter().zip(&weights) {
            // Less than one minor unit away from the exact share.
            let error = i128::from(*part) * total.max(1) - i128::from(whole) * i128::from(*weight);
            assert!(error.abs() < total.max(1), "{whole} by {weights:?}: {parts:?}");
            uneven += u32::from(error != 0);
        }
    }
    assert!(cases() < uneven, "{uneven}");
}

/// Whatever is collected, credited and given back in whichever order: nothing is due and to be given back at once, the
/// money that stays is never more than what is left of the invoice, and doing what comes next ends it.
#[test]
fn random_invoices_end_with_what_they_come_to() {
    let mut random = SplitMix(13);
    let (mut collected, mut returned, mut refused) = (0_u32, 0_u32, 0_u32);
    for _ in 0..cases() {
        let (net, tax) = (random.below(100_000), random.below(10_000));
        let total = net + tax;
        let mut standing =
            Standing { total, prepaid: random.below(2) * random.below(total + 1), ..Standing::default() };
        for _ in 0..random.below(12) {
            match random.below(3) {
                0 => standing.credited += random.below(total - standing.credited + 1),
                1 => standing.is_refused = true,
                _ => settle(&mut standing),
            }
            refused += u32::from(standing.is_refused);
            assert!(standing.due() == 0 || standing.to_return() == 0, "{standing:?}");
        }
        settle(&mut standing);
        assert_eq!(standing.step(), Step::Rest, "{standing:?}");
        let kept = standing.collected - standing.returned;
        assert_eq!(kept, (total - standing.prepaid - standing.credited).max(0), "{standing:?}");
        if 0 < total {
            let (of_net, of_tax) = share_tax(kept, net, tax).unwrap();
            assert_eq!(of_net + of_tax, kept);
            assert!((0..=net).contains(&of_net) && (0..=tax).contains(&of_tax), "{kept} of {net} and {tax}");
        }
        collected += u32::from(0 < standing.collected);
        returned += u32::from(0 < standing.returned);
    }
    println!("{} invoices: {collected} collected, {returned} partly given back, {refused} refusals", cases());
    assert!([collected, returned, refused].iter().all(|count| cases() / 20 < *count));
}

fn settle(standing: &mut Standing) {
    match standing.step() {
        Step::Rest => {}
        Step::Collect(minor) => standing.collected += minor,
        Step::Return(minor) => standing.returned += minor,
    }
    standing.is_refused = false;
}

/// Prepaid credits are used up in the order of their expiry, never beyond what was granted or what is due.
#[test]
fn random_credits_are_used_in_order_and_never_beyond() {
    let mut random = SplitMix(17);
    let (mut partly, mut expired) = (0_u32, 0_u32);
    for _ in 0..cases() {
        let mut credits: Vec<Credit> = (0..random.below(6))
            .map(|number| {
                let granted = 1 + random.below(1_000);
                let expires = (random.below(3) != 0).then(|| Timestamp(random.below(100)));
                let used = random.below(2) * random.below(granted + 1);
                Credit { key: number.to_string(), granted, used, expires, since: Timestamp(random.below(5)) }
            })
            .collect();
        for end in [30, 60, 90] {
            let due = random.below(1_500);
            let end = Timestamp(end);
            let used = consume(due, &credits, end);
            let sum: i64 = used.iter().map(|each| each.minor).sum();
            let lives = |credit: &&Credit| credit.expires.is_none_or(|expires| end <= expires);
            let left: i64 = credits.iter().filter(lives).map(|credit| credit.granted - credit.used).sum();
            assert_eq!(sum, due.min(left));
            let find =
                |credits: &[Credit], key: &str| credits.iter().position(|credit| credit.key == key).unwrap();
            let order: Vec<i64> = used
                .iter()
                .map(|each| credits[find(&credits, &each.key)].expires.map_or(i64::MAX, |expires| expires.0))
                .collect();
            assert!(order.is_sorted(), "{order:?}");
            for each in &used {
                let place = find(&credits, &each.key);
                let credit = &mut credits[place];
                assert_eq!(each.before, credit.used);
                credit.used += each.minor;
                assert!(0 < each.minor && credit.used <= credit.granted);
                partly += u32::from(credit.used < credit.granted);
            }
            expired +=
                u32::from(credits.iter().any(|credit| !lives(&credit) && credit.used < credit.granted));
        }
    }
    println!("{partly} credits used in part, {expired} times some had expired");
    assert!(cases() / 20 < partly && cases() / 20 < expired);
}

/// What holds of every statement.
fn holds(found: &Statement) {
    let sum = |part: fn(&payplane_billing::Line) -> i64| found.lines.iter().map(part).sum::<i64>();
    let taxes: i64 = found.taxes.iter().map(|tax| tax.amount).sum();
    assert_eq!(sum(|line| line.amount), found.subtotal);
    assert_eq!(sum(|line| line.discount), found.discount);
    assert_eq!(sum(|line| line.tax), taxes);
    assert_eq!(found.subtotal - found.discount + taxes, found.total);
    for line in &found.lines {
        assert!((0..=line.amount).contains(&line.discount) && 0 <= line.tax, "{line:?}");
    }
}

/// The cost in cents, once more and another way: piece by piece of the tiers, over a common denominator, rounded by
/// adding a half.
fn by_hand(model: &Model, quantity: i64, metric: Metric) -> i128 {
    let denominator: i128 = 100_000_000;
    let scale: i128 = if metric == Metric::Volume { 1 } else { 100 };
    let units = |count: i64, unit: Rate| i128::from(count) * unit.scaled() * scale;
    let flat = |minor: i64| i128::from(minor) * denominator;
    let cost = match model {
        Model::Flat(unit) => units(quantity, *unit),
        Model::Package { size, minor } => {
            let packages = quantity / size + i64::from(quantity % size != 0);
            flat(packages * minor)
        }
        Model::Graduated(tiers) => {
            let mut cost = 0;
            let mut start = 0;
            for tier in tiers {
                let end = tier.up_to.unwrap_or(quantity.max(start));
                let inside = (quantity.min(end) - start).max(0);
                cost += units(inside, tier.unit) + if 0 < inside { flat(tier.flat_minor) } else { 0 };
                start = end;
            }
            cost
        }
        Model::Volume(tiers) if 0 < quantity => {
            let tier = tiers.iter().find(|tier| tier.up_to.is_none_or(|up_to| quantity <= up_to)).unwrap();
            units(quantity, tier.unit) + flat(tier.flat_minor)
        }
        Model::Volume(_) => 0,
    };
    (2 * cost + denominator) / (2 * denominator)
}

fn random_terms(random: &mut SplitMix) -> Terms {
    let mut prices = Vec::new();
    for metric in METRICS {
        if random.below(3) != 0 {
            let free = if random.below(2) == 0 { 0 } else { random.below(500) };
            prices.push(price(metric, free, random_model(random)));
        }
    }
    let mut events = Vec::new();
    for name in ["calls", "storage"] {
        if random.below(2) == 0 {
            let model = random_model(random);
            events.push(EventPrice {
                name: name.to_owned(),
                free: random.below(2) * random.below(500),
                model,
            });
        }
    }
    let discount = match random.below(3) {
        0 => None,
        1 => Some(Discount::Amount(1 + random.below(10_000))),
        _ => Some(Discount::Percent(random_rate(random, 100))),
    };
    let taxes = (0..random.below(3))
        .map(|index| TaxRate { name: format!("tax {index}"), percent: random_rate(random, 30) })
        .collect();
    let base_fee = random.below(3) * random.below(10_000);
    let minimum = random.below(2) * random.below(2_000_000);
    Terms { base_fee, prices, events, minimum, discount, taxes, ..terms() }
}

fn random_model(random: &mut SplitMix) -> Model {
    match random.below(4) {
        0 => Model::Flat(random_rate(random, 3)),
        1 => Model::Package { size: 1 + random.below(200), minor: random.below(1_000) },
        2 => Model::Graduated(random_tiers(random)),
        _ => Model::Volume(random_tiers(random)),
    }
}

fn random_tiers(random: &mut SplitMix) -> Vec<Tier> {
    let count = 1 + random.below(4);
    let mut up_to = 0;
    let mut tiers = Vec::new();
    for index in 0..count {
        up_to += 1 + random.below(400);
        let (unit, flat_minor) = (random_rate(random, 2), random.below(2) * random.below(500));
        tiers.push(Tier { up_to: (index + 1 < count).then_some(up_to), unit, flat_minor });
    }
    tiers
}

/// More than zero and less than `end`.
fn random_rate(random: &mut SplitMix, end: i64) -> Rate {
    rate(&format!("{}.{:08}", random.below(end), 1 + random.below(99_999_999)))
}

fn random_usage(random: &mut SplitMix) -> Usage {
    let mut some = || match random.below(4) {
        0 => 0,
        1 => random.below(1_000_000_000),
        _ => random.below(2_000),
    };
    let events = [("calls".to_owned(), some()), ("unpriced".to_owned(), some())].into();
    let (payments, volume, holds, refunds, active_wallets) = (some(), some(), some(), some(), some());
    let (api_calls, storage) = (some(), some());
    Usage { payments, volume, holds, refunds, active_wallets, api_calls, storage, events }
}

/// The usual small generator; a fixed seed makes every run the same.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: i64) -> i64 {
        i64::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}
