//! How many tokens to propose: what a run of more rows costs here, against what it is likely to bring.

/// Rows of a run with a draft, at most.
pub(in crate::decode) const MOST_ROWS: usize = 12;

/// Part of the time of one row that each further row is taken to cost before any was timed.
const FIRST_SLOPE: f64 = 0.15;
/// Weight of the newest time.
const NEWEST: f64 = 0.2;
/// Classes of how sure a guess is.
const CLASSES: usize = 5;
/// What a class is worth before it was tried, in tries.
const PRIOR: f32 = 4.0;

/// Learns from the runs of one report.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Seconds of a run by its rows, where known.
    seconds: [Option<f64>; MOST_ROWS + 1],
    /// Guesses of each class that were checked, and those that were right.
    tried: [(f32, f32); CLASSES],
    /// Classes of the draft that is being checked.
    open: Vec<usize>,
    /// Shares, as they came, of the tokens that were considered.
    considered: Vec<usize>,
}

impl Pace {
    /// How likely a guess is right whose share of the phrases is `share`.
    pub(super) fn expected(&mut self, share: f32) -> f32 {
        let class = class(share);
        self.considered.push(class);
        let (tried, right) = self.tried[class];
        let prior = (class as f32 + 0.5) / CLASSES as f32;
        (right + PRIOR * prior) / (tried + PRIOR)
    }

    /// How many of the guesses to propose behind `waiting` rows: as many as give the most tokens in a second.
    pub(super) fn worthwhile(&self, waiting: usize, expected: &[f32]) -> usize {
        let (mut tokens, mut likely) = (1.0, 1.0);
        let mut best = (tokens / self.cost(waiting), 0);
        for (i, share) in expected.iter().enumerate() {
            likely *= f64::from(*share);
            tokens += likely;
            let rate = tokens / self.cost(waiting + i + 1);
            if rate > best.0 {
                best = (rate, i + 1);
            }
        }
        best.1
    }

    /// The draft is made of the first guesses that were considered.
    pub(super) fn proposed(&mut self, draft: &[f32]) {
        self.open = std::mem::take(&mut self.considered);
        self.open.truncate(draft.len());
    }

    /// A run is over: the first `accepted` guesses were right, and the one behind them, if it was checked, was not.
    pub(super) fn ran(&mut self, rows: usize, seconds: f64, accepted: usize, checked: usize) {
        if let Some(known) = self.seconds.get_mut(rows) {
            *known = Some(known.map_or(seconds, |known| known + NEWEST * (seconds - known)));
        }
        for (i, class) in std::mem::take(&mut self.open).into_iter().take(checked).enumerate() {
            self.tried[class].0 += 1.0;
            self.tried[class].1 += if i < accepted { 1.0 } else { 0.0 };
        }
    }

    /// Seconds that a run of so many rows takes, in a unit that only comparisons see.
    fn cost(&self, rows: usize) -> f64 {
        let known = |r: usize| Some((r, (*self.seconds.get(r)?)?));
        let below = (1..=rows.min(MOST_ROWS)).rev().find_map(known);
        let above = (rows..=MOST_ROWS).find_map(known);
        match (below, above) {
            (Some((a, low)), Some((b, high))) if b > a => low + (high - low) * (rows - a) as f64 / (b - a) as f64,
            (Some((_, seconds)), Some(_)) => seconds,
            (Some((a, seconds)), None) => seconds * slope(rows) / slope(a),
            (None, Some((b, seconds))) => seconds * slope(rows) / slope(b),
            (None, None) => slope(rows),
        }
    }
}

fn slope(rows: usize) -> f64 {
    1.0 + FIRST_SLOPE * (rows.max(1) - 1) as f64
}

fn class(share: f32) -> usize {
    ((share * CLASSES as f32) as usize).min(CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(costs: &[(usize, f64)]) -> Pace {
        let mut pace = Pace::default();
        costs.iter().for_each(|&(rows, seconds)| pace.ran(rows, seconds, 0, 0));
        pace
    }

    #[test]
    fn the_draft_is_as_long_as_its_rows_are_cheap() {
        let sure = [0.95f32; 8];
        assert_eq!(timed(&[(1, 1.0), (9, 1.0)]).worthwhile(1, &sure), 8, "rows for nothing");
        assert_eq!(timed(&[(1, 1.0), (2, 2.0), (9, 9.0)]).worthwhile(1, &sure), 0, "a row costs a run");
        let steep = timed(&[(1, 1.0), (4, 1.1), (5, 3.0), (9, 9.0)]);
        assert_eq!(steep.worthwhile(1, &sure), 3, "before the cost rises");
        assert_eq!(timed(&[(1, 1.0), (9, 1.0)]).worthwhile(1, &[0.9, 0.0, 0.9]), 1, "nothing follows a wrong guess");
    }

    #[test]
    fn guesses_are_trusted_as_far_as_they_were_right() {
        let mut pace = Pace::default();
        let before = pace.expected(0.99);
        pace.proposed(&[before]);
        pace.ran(2, 1.0, 0, 1);
        let after = pace.expected(0.99);
        assert!(after < before && before > 0.8, "{before} {after}");
        assert_eq!(pace.expected(0.5), Pace::default().expected(0.5), "others are as they were");
    }

    #[test]
    fn times_between_are_between() {
        let pace = timed(&[(1, 1.0), (5, 3.0)]);
        assert_eq!(pace.cost(3), 2.0);
        assert!(pace.cost(6) > 3.0);
        assert!(Pace::default().cost(2) > Pace::default().cost(1));
    }
}
