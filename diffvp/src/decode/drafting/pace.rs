//! How many tokens to propose: what a run of more rows costs here, against what it is likely to bring.

/// Rows of a run with a draft, at most.
pub(in crate::decode) const MOST_ROWS: usize = 16;

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
}

impl Pace {
    /// How likely a guess is right whose share of the phrases is `share`, and the class that it is of.
    pub(super) fn expected(&self, share: f32) -> (f32, usize) {
        let class = class(share);
        let (tried, right) = self.tried[class];
        let prior = (class as f32 + 0.5) / CLASSES as f32;
        ((right + PRIOR * prior) / (tried + PRIOR), class)
    }

    /// How many of the guesses to propose behind `waiting` rows that give `texts` tokens: as many as give the most tokens in a
    /// second. `likely` says how likely each is right together with those that it follows, the likeliest first.
    pub(super) fn worthwhile(&self, waiting: usize, texts: usize, likely: &[f32]) -> usize {
        let mut tokens = texts as f64;
        let mut best = (tokens / self.cost(waiting), 0);
        for (i, likely) in likely.iter().enumerate() {
            tokens += f64::from(*likely);
            let rate = tokens / self.cost(waiting + i + 1);
            if rate > best.0 {
                best = (rate, i + 1);
            }
        }
        best.1
    }

    /// A run of so many rows took so long.
    pub(super) fn ran(&mut self, rows: usize, seconds: f64) {
        if let Some(known) = self.seconds.get_mut(rows) {
            *known = Some(known.map_or(seconds, |known| known + NEWEST * (seconds - known)));
        }
    }

    /// Guesses of these classes were checked: the first `accepted` were right, and the one behind them, if it is there, was not.
    pub(super) fn checked(&mut self, classes: &[usize], accepted: usize) {
        for (i, class) in classes.iter().enumerate() {
            self.tried[*class].0 += 1.0;
            self.tried[*class].1 += if i < accepted { 1.0 } else { 0.0 };
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
        costs.iter().for_each(|&(rows, seconds)| pace.ran(rows, seconds));
        pace
    }

    #[test]
    fn the_draft_is_as_long_as_its_rows_are_cheap() {
        let sure: Vec<f32> = (1..=8).map(|i| 0.95f32.powi(i)).collect();
        assert_eq!(timed(&[(1, 1.0), (9, 1.0)]).worthwhile(1, 1, &sure), 8, "rows for nothing");
        assert_eq!(timed(&[(1, 1.0), (2, 2.0), (9, 9.0)]).worthwhile(1, 1, &sure), 0, "a row costs a run");
        let steep = timed(&[(1, 1.0), (4, 1.1), (5, 3.0), (9, 9.0)]);
        assert_eq!(steep.worthwhile(1, 1, &sure), 3, "before the cost rises");
        assert_eq!(timed(&[(1, 1.0), (9, 1.0)]).worthwhile(1, 1, &[0.9, 0.0, 0.0]), 1, "nothing follows a wrong guess");
        let even = timed(&[(1, 1.0), (9, 5.0)]);
        assert_eq!(even.worthwhile(1, 1, &[0.6]), 1, "half more time for more tokens than that");
        assert_eq!(even.worthwhile(5, 5, &[0.6]), 0, "a sixth more time for an eighth more tokens");
    }

    #[test]
    fn guesses_are_trusted_as_far_as_they_were_right() {
        let mut pace = Pace::default();
        let (before, class) = pace.expected(0.99);
        pace.checked(&[class], 0);
        let (after, _) = pace.expected(0.99);
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
