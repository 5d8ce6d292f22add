//! Roles and which includes which.

/// What a caller may do. Approver and treasury do not include each other; everything else is a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads.
    Viewer = 1,
    /// Creates wallets and payments.
    Operator = 2,
    /// Approves what others asked for.
    Approver = 3,
    /// Debits settlement accounts.
    Treasury = 4,
    /// All of the above, for one tenant.
    Admin = 5,
    /// The operator of the platform: any tenant, and tenants themselves.
    Platform = 6,
}

impl Role {
    /// The role with this number on the wire and in the tables.
    pub fn from_number(number: i16) -> Option<Self> {
        use Role::{Admin, Approver, Operator, Platform, Treasury, Viewer};
        let all = [Viewer, Operator, Approver, Treasury, Admin, Platform];
        all.into_iter().find(|role| *role as i16 == number)
    }

    /// Whether somebody with this role may do what `needed` allows.
    pub fn includes(self, needed: Self) -> bool {
        match (self, needed) {
            (Self::Treasury, Self::Approver) | (Self::Approver, Self::Treasury) => false,
            _ => needed as i16 <= self as i16,
        }
    }

    /// Whether an API key can have it. None that approves: a rotated key is another actor, and could approve what it asked
    /// for under its old id.
    pub fn is_for_keys(self) -> bool {
        !self.includes(Self::Approver)
    }

    /// The role's name for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Treasury => "treasury",
            Self::Admin => "admin",
            Self::Platform => "platform",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Role::{self, Admin, Approver, Operator, Platform, Treasury, Viewer};

    #[test]
    fn roles_include_those_before_them() {
        #[rustfmt::skip]
        let table: [(Role, [bool; 6]); 6] = [
            //         viewer operator approver treasury admin  platform
            (Viewer,   [true,  false,   false,   false,   false, false]),
            (Operator, [true,  true,    false,   false,   false, false]),
            (Approver, [true,  true,    true,    false,   false, false]),
            (Treasury, [true,  true,    false,   true,    false, false]),
            (Admin,    [true,  true,    true,    true,    true,  false]),
            (Platform, [true,  true,    true,    true,    true,  true]),
        ];
        for (role, expected) in table {
            let all = [Viewer, Operator, Approver, Treasury, Admin, Platform];
            assert_eq!(all.map(|needed| role.includes(needed)), expected, "{role:?}");
            assert_eq!(role.is_for_keys(), [Viewer, Operator, Treasury].contains(&role), "{role:?}");
        }
    }
}
