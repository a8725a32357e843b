//! What the body of a wallet's answer says, read in one pass without a JSON library.
//!
//! Strict: the body must be one JSON object and nothing else, members that this client knows
//! must have the form of protocol.md section 3, and none may be there twice. Members that it
//! does not know are skipped. Nothing is copied; texts are what stands between the quotes.

/// Objects within objects: the wallet's answers have three.
const DEPTH_MAX: usize = 8;

/// The members of an answer that this client looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    /// `None` only in an object that is no wallet's answer.
    pub(crate) error_code: Option<i32>,
    pub(crate) currency: Option<&'a [u8]>,
    pub(crate) cash_funds: Option<&'a [u8]>,
    pub(crate) bonus_funds: Option<&'a [u8]>,
    pub(crate) transaction_reference: Option<&'a [u8]>,
    pub(crate) split_bonus: Option<&'a [u8]>,
    pub(crate) split_cash: Option<&'a [u8]>,
    pub(crate) account: Option<&'a [u8]>,
    pub(crate) session_token: Option<&'a [u8]>,
}

/// Reads a body; `None` when it is not such an object.
pub(crate) fn body(bytes: &[u8]) -> Option<Body<'_>> {
    let mut scan = Scan { bytes, at: 0 };
    let mut found = Body::default();
    scan.blanks();
    scan.members(|scan, name| match name {
        b"ErrorCode" => set(&mut found.error_code, scan.integer()?),
        b"Balance" => scan.members(|scan, name| match name {
            b"CurrencyCode" => set(&mut found.currency, scan.string()?),
            b"CashFunds" => set(&mut found.cash_funds, scan.string()?),
            b"BonusFunds" => set(&mut found.bonus_funds, scan.string()?),
            _ => scan.skip(2),
        }),
        b"Result" => scan.members(|scan, name| match name {
            b"OperatorTransactionReference" => {
                set(&mut found.transaction_reference, scan.string()?)
            }
            b"OperatorAccountID" => set(&mut found.account, scan.string()?),
            b"SessionToken" => set(&mut found.session_token, scan.string()?),
            b"OperatorTransactionSplit" => scan.members(|scan, name| match name {
                b"BonusAmount" => set(&mut found.split_bonus, scan.string()?),
                b"CashAmount" => set(&mut found.split_cash, scan.string()?),
                _ => scan.skip(3),
            }),
            _ => scan.skip(2),
        }),
        _ => scan.skip(1),
    })?;
    scan.blanks();
    (scan.at == bytes.len()).then_some(found)
}

/// A second member of the same name makes the body unreadable.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Reads an object; `member` reads each value.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        self.blanks();
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.take(b':')?;
            self.blanks();
            member(self, name)?;
            self.blanks();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(b'}'),
            }
        }
    }

    /// What stands between the quotes; escapes stay as they are.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(&self.bytes[start..self.at - 1]);
                }
                b'\\' => self.at += 2,
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
    }

    /// A whole number without a fraction, an exponent or a leading zero.
    fn integer(&mut self) -> Option<i32> {
        let is_negative = self.take(b'-').is_some();
        let start = self.at;
        let mut number: i32 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number
                .checked_mul(10)?
                .checked_add(i32::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = &self.bytes[start..self.at];
        let is_plain = !digits.is_empty() && (digits.len() == 1 || digits[0] != b'0');
        let ends = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        (is_plain && ends).then_some(if is_negative { -number } else { number })
    }

    /// Passes over a value of any kind.
    fn skip(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.members(|scan, _| scan.skip(depth + 1)),
            b'[' => self.skip_array(depth),
            _ => self.skip_word(),
        }
    }

    fn skip_array(&mut self, depth: usize) -> Option<()> {
        self.take(b'[')?;
        self.blanks();
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            self.blanks();
            self.skip(depth + 1)?;
            self.blanks();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(b']'),
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn skip_word(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'0'..=b'9' | b'a'..=b'z' | b'-' | b'+' | b'.' | b'E')
        ) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BET: &str = r#"{"ErrorCode":0,"Balance":{"CurrencyCode":"GBP","CashFunds":"90.00","BonusFunds":"0.00","FundsPriority":"CashFundsFirst"},"Result":{"OperatorTransactionReference":"t-1","OperatorTransactionSplit":{"BonusAmount":"0.00","CashAmount":"10.00"}}}"#;

    #[test]
    fn a_bet_s_answer_is_read_whole() {
        let read = body(BET.as_bytes()).unwrap();
        let expected = Body {
            error_code: Some(0),
            currency: Some(b"GBP"),
            cash_funds: Some(b"90.00"),
            bonus_funds: Some(b"0.00"),
            transaction_reference: Some(b"t-1"),
            split_bonus: Some(b"0.00"),
            split_cash: Some(b"10.00"),
            account: None,
            session_token: None,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_body_cut_anywhere_is_no_body() {
        for end in 0..BET.len() {
            assert_eq!(body(&BET.as_bytes()[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn the_error_code_is_exactly_what_is_written() {
        let cases = [
            (r#"{"ErrorCode":0}"#, Some(Some(0))),
            (
                r#" { "ErrorCode" : -14 , "ErrorDescription":"a \"b\" }" } "#,
                Some(Some(-14)),
            ),
            (
                r#"{"Other":[1,{"ErrorCode":0},[]],"ErrorCode":-6}"#,
                Some(Some(-6)),
            ),
            (r#"{"Result":{"ErrorCode":0}}"#, Some(None)),
            ("{}", Some(None)),
            (r#"{"ErrorCode":01}"#, None),
            (r#"{"ErrorCode":0.5}"#, None),
            (r#"{"ErrorCode":0e1}"#, None),
            (r#"{"ErrorCode":-}"#, None),
            (r#"{"ErrorCode":"0"}"#, None),
            (r#"{"ErrorCode":0,"ErrorCode":0}"#, None),
            (r#"{"ErrorCode":0}x"#, None),
            (r#"{"ErrorCode":0,}"#, None),
            (r#"{"ErrorCode":0 "A":1}"#, None),
            (r#"{"ErrorCode":0,"A":}"#, None),
            (r#"[{"ErrorCode":0}]"#, None),
            (r#"{"Balance":{"CashFunds":10},"ErrorCode":0}"#, None),
            ("", None),
        ];
        for (text, expected) in cases {
            let seen = body(text.as_bytes()).map(|body| body.error_code);
            assert_eq!(seen, expected, "{text}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = format!("{{\"A\":{}1{}}}", "[".repeat(100), "]".repeat(100));
        assert_eq!(body(deep.as_bytes()), None);
    }
}
