//! The kinds of requests, with the names that reports give them.

/// One endpoint of the wallet (protocol.md section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Balance,
    RedeemToken,
    CreateToken,
    PlaceBet,
    AwardWinnings,
    RollbackBet,
    VoidBet,
    End,
    Credit,
    Alert,
}

impl Kind {
    pub(crate) const COUNT: usize = 10;

    /// In the order of reports.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Balance,
        Self::RedeemToken,
        Self::CreateToken,
        Self::PlaceBet,
        Self::AwardWinnings,
        Self::RollbackBet,
        Self::VoidBet,
        Self::End,
        Self::Credit,
        Self::Alert,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The value of the tag `requestType`; the first two are the reference's.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::RedeemToken => "redeemToken",
            Self::CreateToken => "createToken",
            Self::PlaceBet => "placeBet",
            Self::AwardWinnings => "awardWinnings",
            Self::RollbackBet => "rollbackBet",
            Self::VoidBet => "voidBet",
            Self::End => "end",
            Self::Credit => "credit",
            Self::Alert => "alert",
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Balance => "/v1.0/balance",
            Self::RedeemToken => "/v1.0/session/redeemtoken",
            Self::CreateToken => "/v1.0/session/createtoken",
            Self::PlaceBet => "/v1.0/gameround/placebet",
            Self::AwardWinnings => "/v1.0/gameround/awardwinnings",
            Self::RollbackBet => "/v1.0/gameround/rollbackbet",
            Self::VoidBet => "/v1.0/gameround/voidbet",
            Self::End => "/v1.0/gameround/end",
            Self::Credit => "/v1.0/accounttransaction/credit",
            Self::Alert => "/v1.0/alertwalletcallbacknotification",
        }
    }

    /// Whether it moves money under an id of its own, so that a repeat must not.
    pub(crate) const fn is_booking(self) -> bool {
        matches!(
            self,
            Self::PlaceBet | Self::AwardWinnings | Self::RollbackBet | Self::VoidBet | Self::Credit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_a_name_and_a_path_of_its_own() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), at);
            for other in &Kind::ALL[..at] {
                assert_ne!(kind.name(), other.name());
                assert_ne!(kind.path(), other.path());
            }
        }
    }
}
